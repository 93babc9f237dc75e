"""What running relations fails with."""


class EngineFailed(Exception):
    """An engine could not run relations; the message says what happened, where, and what to do next."""
