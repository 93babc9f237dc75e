"""`python -m infra.rehearsal.rules_from_source CHECKOUT [TYPE ...]` writes `rules.toml` from the provider's source.

CHECKOUT is a checkout of github.com/hashicorp/terraform-provider-google at the tag of the version in use. Without a
TYPE the types that the table names already are read again; a TYPE is added to them.
"""

import argparse
import sys
import tomllib
from pathlib import Path

from infra.rehearsal.rules_from_source import table
from infra.rehearsal.rules_from_source.conditions import UnreadableError
from infra.rehearsal.rules_from_source.go_source import GoSource


def main(arguments: list[str]) -> None:
    """Run the command. Ends the process with 1 and the reason where a type cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m infra.rehearsal.rules_from_source", description=__doc__)
    parser.add_argument("checkout", metavar="CHECKOUT", type=Path)
    parser.add_argument("types", metavar="TYPE", nargs="*")
    options = parser.parse_args(arguments)
    source = GoSource(options.checkout)
    known = tomllib.loads(table.FILE.read_text()) if table.FILE.exists() else {}
    try:
        tables = {type_name: table.read(source, type_name) for type_name in sorted({*known, *options.types})}
    except UnreadableError as error:
        sys.exit(f"{error}\nNothing was written. Is {options.checkout} a checkout at the provider's tag?")
    table.FILE.write_text(table.render(tables))


if __name__ == "__main__":
    main(sys.argv[1:])
