"""Lead sources, and everything that reads a file of leads."""
