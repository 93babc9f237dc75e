"""How a text file of leads, its cells and its ids are read, for training, batch scoring, the page and the API."""
