"""Which of a file's columns is the one that is meant."""

from collections.abc import Sequence

from service.model.spelling import fold


class Header:
    """The names of a file's columns, which are looked up by any spelling. Each name is read once."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._exact: dict[str, list[int]] = {}
        self._alike: dict[str, list[int]] = {}
        for place, column in enumerate(columns):
            self._exact.setdefault(column, []).append(place)
            self._alike.setdefault(fold(column), []).append(place)

    def place_of(self, name: str) -> int | None:
        """Where this column stands: the one of this very name, else the only one that differs in case and blanks."""
        if name in self._exact:
            return self._exact[name][0]
        alike = self._alike.get(fold(name), [])
        return alike[0] if len(alike) == 1 else None

    def is_doubtful(self, name: str) -> bool:
        """Whether several columns may be the one that is meant."""
        return len(self._exact.get(name) or self._alike.get(fold(name), [])) > 1


def told_apart(header: Sequence[str]) -> list[str]:
    """The names, of which each is there once: one that is missing or there again is called by its place."""
    first: dict[str, int] = {}
    for place, name in enumerate(header):
        first.setdefault(name, place)
    return [
        name if name and first[name] == place else f"column {place + 1}{f' ({name} again)' if name else ''}"
        for place, name in enumerate(header)
    ]
