"""`python -m infra.permissions.condense FILE`: write google.toml anew, from a data set of Google's roles and methods.

FILE is JSON, compressed by gzip: `source` (with the date at its end), `roles` (permissions by role) and `methods`
(permissions by method). Of it google.toml keeps the methods that types.toml and calls.toml name, and the roles with the
permissions that any table names. Permissions that no table names are counted by the roles that hold them, so that the
permissions of any set of roles can be counted without keeping thousands of names.
"""

import gzip
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from infra.permissions import tables

FILE = tables.FOLDER / "google.toml"
# Roles that hold nearly everything, or belong to services that the platform does not use, are no candidates.
LEFT_OUT = ("roles/owner", "roles/editor", "roles/viewer", "roles/bigquery.", "roles/pubsub.")
HEAD = """\
# Google's predefined roles and the methods in use, condensed from a data set by infra/permissions/condense.py:
# run `python -m infra.permissions.condense FILE` instead of editing this.
#
#   methods  the permissions that a method asks for
#   roles    the number of permissions of a role, and those that a table here names
#   rest     how many other permissions exactly these roles hold
"""


def used_methods() -> frozenset[str]:
    """The methods that types and calls name."""
    types, calls = tables.read_types().values(), tables.read_calls().values()
    of_types = {method for row in types for method in (*row.read, *row.create, *row.update, *row.delete)}
    return frozenset(of_types | {method for rows in calls for call in rows for method in call.methods})


def condense(data: Mapping[str, Any]) -> str:
    """The text of google.toml."""
    methods = {name: data["methods"][name] for name in sorted(used_methods()) if name in data["methods"]}
    named = _named(methods)
    known = {role: set(held) for role, held in sorted(data["roles"].items()) if not role.startswith(LEFT_OUT)}
    roles = {role: held for role, held in known.items() if held & named}
    lines = [HEAD, f'date = "{data["source"].rpartition(" ")[2]}"', f'source = "{data["source"]}"', "", "[methods]"]
    lines += [f'"{name}" = {_list(permissions)}' for name, permissions in methods.items()]
    for role, held in roles.items():
        lines += ["", f'[roles."{role}"]', f"size = {len(held)}", f"holds = {_list(sorted(held & named))}"]
    for holders, count in sorted(_rest(roles, named).items()):
        lines += ["", "[[rest]]", f"count = {count}", f"roles = {_list(holders)}"]
    return "\n".join(lines) + "\n"


def _named(methods: Mapping[str, Iterable[str]]) -> set[str]:
    """The permissions that a table names."""
    named = {permission for permissions in methods.values() for permission in permissions}
    for row in tables.read_methods().values():
        named.update(row.permissions or (), row.also, row.leave_out)
    for resource_type in tables.read_types().values():
        for kind in resource_type.kinds.values():
            named.update(f"container.{kind}.{verb}" for verb in ("get", "create", "update", "delete"))
    kubernetes = (method for method in used_methods() if method.startswith("kubernetes."))
    return named | {method.replace("kubernetes.", "container.", 1) for method in kubernetes}


def _rest(roles: Mapping[str, set[str]], named: set[str]) -> Counter[tuple[str, ...]]:
    holders = defaultdict(list)
    for role, held in roles.items():
        for permission in held - named:
            holders[permission].append(role)
    return Counter(tuple(found) for found in holders.values())


def _list(texts: Iterable[str]) -> str:
    return json.dumps(list(texts))


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit status."""
    if len(arguments) != 1 or not Path(arguments[0]).is_file():
        print(f"usage: python -m infra.permissions.condense FILE\n\n{__doc__}", file=sys.stderr)
        return 2
    with gzip.open(arguments[0]) as file:
        FILE.write_text(condense(json.load(file)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
