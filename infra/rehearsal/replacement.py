"""What a change does to a resource: which changed arguments make the provider replace it.

Most replace always (`replaces` in `rules.toml`), some on a condition. The table names a condition by its Go function,
which stands in the type's source file at tag v6.50.0 or in one beside it; what it says is written here by hand.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import zip_longest
from typing import Any

from infra.rehearsal.rules import known

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A changed argument: its values, and the whole resource before and after."""

    path: str
    old: Any
    new: Any
    before: State
    after: State


def replaces(type_name: str, before: State, after: State) -> list[str]:
    """The changed arguments that make the provider replace the resource."""
    rules = known(type_name)
    if rules is None:
        return []
    always = frozenset(rules.replaces)

    def replaced_by(change: Change) -> bool:
        condition = rules.replaces_if.get(change.path)
        return change.path in always or (condition is not None and CONDITIONS[condition](change))

    changes = (Change(*changed, before, after) for changed in _changed(before, after, "", frozenset(rules.sets)))
    return sorted({change.path for change in changes if replaced_by(change)})


def changed(before: Any, after: Any) -> list[str]:
    """The paths that differ, without positions: settings.tier; a list of blocks also where their number differs."""
    return sorted({path for path, _, _ in _changed(before, after, "", frozenset())})


def _changed(before: Any, after: Any, above: str, sets: frozenset[str]) -> Iterator[tuple[str, Any, Any]]:
    """As the SDK compares: a block by its number and by each argument in it, everything else as a whole.

    A block of a set has no position: a changed one is a block less and a block more.
    """
    old, new = (block if isinstance(block, Mapping) else {} for block in (before, after))
    for name in old.keys() | new.keys():
        path, values = f"{above}{name}", (old.get(name), new.get(name))
        if any(_has_blocks(value) for value in values):
            one, other = (value if isinstance(value, list) else [] for value in values)
            if len(one) != len(other):
                yield path, one, other
            pairs = _one_sided(one, other) if path in sets else zip_longest(one, other)
            for pair in pairs:
                yield from _changed(*pair, f"{path}.", sets)
        elif values[0] != values[1] and not all(value in _UNSET for value in values):
            yield path, *values


def _one_sided(one: list[Any], other: list[Any]) -> list[tuple[Any, Any]]:
    return [(block, None) for block in one if block not in other] + [
        (None, block) for block in other if block not in one
    ]


# What a provider of this kind cannot tell apart.
_UNSET: tuple[Any, ...] = (None, "", [], {})


def _has_blocks(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(element, Mapping) for element in value)


def _smaller(change: Change) -> bool:
    numbers = isinstance(change.old, int | float) and isinstance(change.new, int | float)
    return numbers and change.new < change.old


def _turned_off(change: Change) -> bool:
    return change.old is True and not change.new


def _not_extended(change: Change) -> bool:
    try:
        old, new = (ip_network(value, strict=False) for value in (change.old, change.new))
    except ValueError:  # not known yet, or not given
        return False
    return old.version != new.version or not old.subnet_of(new)  # type: ignore[arg-type]


def _taken_out(change: Change) -> bool:
    return bool(change.old) and not change.new


def _autopilot(change: Change) -> bool:
    return bool(change.after.get("enable_autopilot"))


def _api_taken_out(change: Change) -> bool:
    return not set(change.old or []) <= set(change.new or [])


def _always(_change: Change) -> bool:
    return True


def _no_switchover(change: Change) -> bool:
    """Replicas of SQL Server aside, which have one condition more."""
    master = change.after.get("master_instance_name")
    types = (change.before.get("instance_type"), change.after.get("instance_type"))
    old_replicas, new_replicas = (state.get("replica_names") or [] for state in (change.before, change.after))
    becomes_replica = types == ("CLOUD_SQL_INSTANCE", "READ_REPLICA_INSTANCE") and change.after["replica_configuration"]
    return not (becomes_replica and master in old_replicas and master not in new_replicas)


CONDITIONS: Mapping[str, Callable[[Change], bool]] = {
    "IsDiskShrinkage": _smaller,
    "IsShrinkageIpCidr": _not_extended,
    "containerClusterAutopilotCustomizeDiff": _autopilot,
    "containerClusterEnableK8sBetaApisCustomizeDiff": _api_taken_out,
    "isBeenEnabled": _turned_off,
    "isPolicyLocked": _turned_off,
    "isSwitchoverFromOldPrimarySide": _no_switchover,
    "privateNetworkCustomizeDiff": _taken_out,
    # Only `automatic`, which 6.50 no longer has, may become `auto` in place.
    "secretManagerSecretAutoCustomizeDiff": _always,
}
