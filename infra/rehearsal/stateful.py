"""The types whose resources hold what cannot be made again, and what a change of each argument does to them."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

CODE = "https://github.com/hashicorp/terraform-provider-google/blob"


@dataclass(frozen=True, slots=True)
class Stateful:
    """What the provider's code says of a type: an entry of `stateful.toml`, which explains itself."""

    source: str
    replaces: frozenset[str]
    in_place: frozenset[str]
    replaces_if: Mapping[str, str]  # by argument, the name of a condition
    protection: str | None

    @property
    def url(self) -> str:
        """Where it was read."""
        return f"{CODE}/{self.source}"


def _read(file: Path) -> dict[str, Stateful]:
    return {
        type_name: Stateful(
            entry["source"],
            frozenset(entry["replaces"]),
            frozenset(entry["in_place"]),
            entry.get("replaces_if", {}),
            entry.get("protection"),
        )
        for type_name, entry in tomllib.loads(file.read_text()).items()
    }


def _smaller(before: Any, after: Any) -> bool:
    return isinstance(before, int | float) and isinstance(after, int | float) and after < before


def _turned_off(before: Any, after: Any) -> bool:
    return before is True and not after


# Whether a change from one value to another replaces. As in the provider: IsDiskShrinkage and isBeenEnabled.
CONDITIONS: Mapping[str, Callable[[Any, Any], bool]] = {"smaller": _smaller, "turned off": _turned_off}

STATEFUL: Mapping[str, Stateful] = _read(Path(__file__).with_suffix(".toml"))


def replaces(type_name: str, before: Any, after: Any) -> list[str]:
    """The changed arguments that make the provider replace the resource."""
    return _changed_by(True, type_name, before, after)


def may_replace(type_name: str, before: Any, after: Any) -> list[str]:
    """The changed arguments of a stateful resource of which the table does not know what they do."""
    return _changed_by(None, type_name, before, after)


def changed(before: Any, after: Any) -> list[str]:
    """The paths that differ, without positions: settings.tier."""
    return sorted({path for path, _, _ in _changed(before, after, "")})


def _changed_by(rule: bool | None, type_name: str, before: Any, after: Any) -> list[str]:
    if type_name not in STATEFUL:
        return []
    known = STATEFUL[type_name]
    return sorted({path for path, *values in _changed(before, after, "") if _rule(known, path, *values) is rule})


def _changed(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, Mapping) or isinstance(after, Mapping):
        old, new = (value if isinstance(value, Mapping) else {} for value in (before, after))
        for name in old.keys() | new.keys():
            yield from _changed(old.get(name), new.get(name), f"{path}.{name}" if path else name)
    elif isinstance(before, list) or isinstance(after, list):
        for one, other in zip_longest(*(value if isinstance(value, list) else [] for value in (before, after))):
            yield from _changed(one, other, path)
    elif before != after and not (before in _UNSET and after in _UNSET):
        yield path, before, after


# What a provider of this kind cannot tell apart.
_UNSET: tuple[Any, ...] = (None, "")


def _rule(known: Stateful, path: str, before: Any, after: Any) -> bool | None:
    """Whether this change replaces; None where the table does not say."""
    steps = path.split(".")
    for length in range(len(steps), 0, -1):
        above = ".".join(steps[:length])
        if above in known.replaces:
            return True
        if above in known.in_place:
            return False
        if above in known.replaces_if:
            return CONDITIONS[known.replaces_if[above]](before, after)
    return None
