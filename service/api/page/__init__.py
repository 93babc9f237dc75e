"""The page: for the people who call the leads, and those who ask whether to trust the model."""
