"""Turns raw objects of prediction records into Parquet tables by day and part, and keeps each lead's first score."""
