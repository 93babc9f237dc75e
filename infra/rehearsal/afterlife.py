"""What Google refuses at the end of a resource's life, and remembers of it afterwards."""

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.protections import KEPT, holding

State = Mapping[str, Any]


class Afterlife:
    """The memory of the stand-in for one cloud, over a destroy."""

    def __init__(self) -> None:
        self._deployed: set[str] = set()  # types
        self._left: dict[tuple[str, ...], State] = {}  # by type and name

    def refuses(self, type_name: str, prior: State | None, planned: State | None) -> str | None:
        """Why this change is refused, in words of the provider or of Google; None where it is not."""
        if planned is not None:
            taken = prior is None and _key(type_name, planned) in self._left
            return f"Error creating {type_name}: googleapi: Error 409: it already exists." if taken else None
        if prior and (protection := holding(type_name, prior)):
            said = f"cannot destroy {type_name} without setting {protection.argument}={_hcl(protection.lifted)}"
            return f"{said} and running `terraform apply`"
        kept = KEPT.get(type_name)
        if kept and kept.blocks == "deletion" and self._deployed.intersection(kept.after):
            return f"Error deleting {type_name}: it is still in use by a deleted {' or '.join(kept.after)}"
        return None

    def applied(self, type_name: str, prior: State | None, made: State | None) -> None:
        """Remember a change that was applied."""
        if made is not None:
            self._deployed.add(type_name)
        elif prior and (key := _key(type_name, prior)):
            self._left[key] = prior

    def left(self, type_name: str, id: str) -> State | None:
        """What is left of the resource with this id."""
        return next((s for key, s in self._left.items() if key[0] == type_name and s.get("id") == id), None)


def _key(type_name: str, state: State) -> tuple[str, ...] | None:
    """The name that stays taken. The provider takes over the log bucket that every project has."""
    kept = KEPT.get(type_name)
    if kept is None or kept.blocks != "name" or state.get("bucket_id") == "_Default":
        return None
    return (type_name, *(str(state.get(argument)) for argument in kept.name))


def _hcl(value: bool | str) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'
