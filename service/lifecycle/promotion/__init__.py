"""Which model version serves."""
