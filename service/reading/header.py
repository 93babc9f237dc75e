"""Which of a file's columns is the one that is meant."""

from collections.abc import Sequence

from service.model.spelling import fold


def place_of(name: str, columns: Sequence[str]) -> int | None:
    """Where this column stands: the one of this very name, else the only one that differs in case and blanks alone."""
    if name in columns:
        return columns.index(name)
    alike = [place for place, column in enumerate(columns) if fold(column) == fold(name)]
    return alike[0] if len(alike) == 1 else None


def told_apart(header: Sequence[str]) -> list[str]:
    """The names, of which each is there once: one that is missing or there again is called by its place."""
    first: dict[str, int] = {}
    for place, name in enumerate(header):
        first.setdefault(name, place)
    return [
        name if name and first[name] == place else f"column {place + 1}{f' ({name} again)' if name else ''}"
        for place, name in enumerate(header)
    ]
