"""Prediction records as tables, and what the jobs compute from them, written once as SQL."""
