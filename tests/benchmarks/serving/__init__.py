"""Scores over HTTP: speed, overload and start, beside other servers."""
