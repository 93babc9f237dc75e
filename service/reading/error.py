"""The refusal of a file or of a lead source."""


class SourceError(Exception):
    """The lead source cannot be used; the message names file and key, or file, row and column, and the remedy."""
