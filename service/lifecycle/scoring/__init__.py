"""A file of leads to a file of scores, for programs and for people."""
