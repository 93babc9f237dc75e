"""What running relations fails with."""


class RelationsFailed(Exception):
    """An engine could not run relations; the message says what happened, where, and what to do next."""
