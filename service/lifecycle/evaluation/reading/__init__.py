"""What an evaluation reads: the records and outcomes of a window, and the versions that were published."""
