"""How an inventory differs from another: `apply(base, difference(base, other))` is `other`.

A difference is an inventory as well. It has each resource that is not as in the base, with the arguments whose values
differ. A resource that the base lacks is marked `added`, one that only the base has `removed`; the field `removed`
lists the arguments that only the base has.
"""

from infra.review.listing import Entries, Fields

Inventory = dict[str, Entries]  # by the stack, without the environment in its name

_ADDED, _REMOVED = "added ", "removed"


def difference(base: Inventory, other: Inventory) -> Inventory:
    """What `apply` makes `other` of `base` with; stacks without any difference are left out."""
    found = {stack: _resources(base.get(stack, {}), other.get(stack, {})) for stack in base.keys() | other.keys()}
    return {stack: entries for stack, entries in found.items() if entries}


def _resources(base: Entries, other: Entries) -> Entries:
    changed = {address: _fields(base[address], other[address]) for address in base.keys() & other.keys()}
    return {
        **{address: fields for address, fields in changed.items() if fields},
        **{f"{_ADDED}{address}": other[address] for address in other.keys() - base.keys()},
        **{f"{_REMOVED} {address}": {} for address in base.keys() - other.keys()},
    }


def _fields(base: Fields, other: Fields) -> Fields:
    changed = {name: value for name, value in other.items() if base.get(name) != value}
    gone = " ".join(sorted(base.keys() - other.keys()))
    return {**changed, _REMOVED: gone} if gone else changed


def apply(base: Inventory, difference: Inventory) -> Inventory:
    """The inventory that differs from the base by this."""
    found = {stack: dict(entries) for stack, entries in base.items()}
    for stack, entries in difference.items():
        resources = found.setdefault(stack, {})
        for title, fields in entries.items():
            if title.startswith(_ADDED):
                resources[title.removeprefix(_ADDED)] = fields
            elif title.startswith(f"{_REMOVED} "):
                resources.pop(title.removeprefix(f"{_REMOVED} "), None)
            else:
                gone = fields.get(_REMOVED, "").split()
                merged = {**resources.get(title, {}), **fields}
                resources[title] = {name: value for name, value in merged.items() if name not in (*gone, _REMOVED)}
    return {stack: resources for stack, resources in found.items() if resources}
