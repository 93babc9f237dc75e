"""How a text file of leads, its cells and its ids are read: the same for training, batch scoring, the page and the API."""
