"""What is watched: everything of the plan that can fail at run time, against the ways to fail.

A cell is covered by alerts, waived with a reason, or cannot be. Refused are a resource type that nobody has thought
about, an open cell, a name that is no alert, an alert that no story proves for that failure, and more than one waiver
in four cells.
"""

import argparse
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, Field, ValidationError

from infra.environments import ENVIRONMENTS
from infra.rehearsal.synthesis import Stack
from infra.synthesize import synthesize
from monitoring import catalogue
from monitoring.platform import Platform
from monitoring.proof.scenarios import cases
from monitoring.proof.told import TOLD, Cell, untold

Way = Literal["down", "erring", "slow", "full", "late", "wrong", "expiring"]
WAYS: tuple[Way, ...] = get_args(Way)
MOST_WAIVED = 0.25
FILE = Path(__file__).with_suffix(".toml")

Name = Annotated[str, Field(min_length=1)]
Reason = Annotated[str, Field(min_length=10)]


class CoverageError(Exception):
    """The file of the matrix is not as it should be."""


class Row(BaseModel, frozen=True, extra="forbid"):
    """One thing that can fail: alerts by way, waivers with their reasons, and ways in which it cannot fail."""

    alerts: dict[Way, Annotated[tuple[Name, ...], Field(min_length=1)]] = {}
    waived: dict[Way, Reason] = {}
    cannot: dict[Way, Reason] = {}


class Matrix(BaseModel, frozen=True, extra="forbid"):
    """Rows by resource type or scheduled job, and types that only say how something is set."""

    rows: dict[str, Row]
    settings: frozenset[Name]


def read(file: Path = FILE) -> Matrix:
    """The matrix in a file, which explains itself. Raises CoverageError."""
    try:
        return Matrix.model_validate(tomllib.loads(file.read_text()))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise CoverageError(f"{file.name}: {wrong}") from error
    except ValueError as error:
        raise CoverageError(f"{file.name}: {error}") from error


_MATRIX = read()
ROWS, SETTINGS = _MATRIX.rows, _MATRIX.settings


def things(stacks: Iterable[Stack]) -> frozenset[str]:
    """What a plan builds, by resource type; a scheduled job on its own."""
    found: set[str] = set()
    for stack in stacks:
        for type_name, resources in stack.config.get("resource", {}).items():
            if type_name == "google_cloud_run_v2_job":
                found |= {f"job {name}" for name in resources if name != "migrate"}  # a deployment runs that one
            else:
                found.add(type_name)
    return frozenset(found)


def gaps(built: frozenset[str], alerts: frozenset[str], rows: Mapping[str, Row] = ROWS) -> Iterator[str]:
    """What is wrong with the matrix for what is built; nothing when all is covered."""
    for thing in sorted(built - rows.keys() - SETTINGS):
        yield f"{thing}: nobody has said how it fails; add a row, or name it among the settings"
    for thing in sorted(built & rows.keys()):
        row = rows[thing]
        for way in WAYS:
            told = [way in each for each in (row.alerts, row.waived, row.cannot)]
            if sum(told) != 1:
                yield f"{thing}, {way}: {'said twice' if any(told) else 'no alert and no waiver'}"
            for name in row.alerts.get(way, ()):
                if name not in alerts:
                    yield f"{thing}, {way}: no alert is called {name}"
    waived, cells = count(built, rows)
    if waived > MOST_WAIVED * cells:
        yield f"{waived} of {cells} cells are waived; at most {MOST_WAIVED:.0%} may be"


def unproven(rows: Mapping[str, Row] = ROWS, told: Mapping[Cell, Mapping[str, str]] = TOLD) -> Iterator[str]:
    """Alerts of cells that no story of that failure fires."""
    cells: dict[Cell, tuple[str, ...]] = {
        (thing, way): alerts for thing, row in rows.items() for way, alerts in row.alerts.items()
    }
    return untold(cells, cases(catalogue.alerts()), told)


def count(built: frozenset[str], rows: Mapping[str, Row] = ROWS) -> tuple[int, int]:
    """Waived cells, and cells in which something can fail."""
    used = [rows[thing] for thing in built & rows.keys()]
    return sum(len(row.waived) for row in used), sum(len(WAYS) - len(row.cannot) for row in used)


def matrix(built: frozenset[str], rows: Mapping[str, Row] = ROWS) -> str:
    """The matrix as text."""
    lines = []
    for thing in sorted(built & rows.keys()):
        lines.append(thing)
        row = rows[thing]
        for way in WAYS:
            said = ", ".join(row.alerts.get(way, ())) or (
                f"waived: {row.waived[way]}" if way in row.waived else f"cannot: {row.cannot.get(way, '?')}"
            )
            lines.append(f"  {way:9} {said}")
    waived, cells = count(built, rows)
    return "\n".join([*lines, f"{cells} cells, {waived} waived ({waived / cells:.0%}; at most {MOST_WAIVED:.0%})"])


def main(arguments: list[str] | None = None) -> int:
    """Print the matrix of an environment and what is wrong with it."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.coverage",
        description=__doc__,
        epilog="examples:\n  python -m infra.coverage prod\nexit status: 0 covered, 1 a gap, 2 wrong use\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("environment", choices=ENVIRONMENTS)
    env = ENVIRONMENTS[parser.parse_args(arguments).environment]
    built = things(synthesize(env))
    print(matrix(built))
    names = frozenset(a.name for a in catalogue.alerts(Platform(database_connections=env.database_connections)))
    found = [*gaps(built, names), *unproven()]
    for gap in found:
        print(gap, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
