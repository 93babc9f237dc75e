"""What became of the scored leads: outcomes arrive late and in pieces, as files of the CRM's below `outcomes/`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from service.lifecycle.source import Source, SourceError
from service.lifecycle.table import Table, parse_table
from service.lifecycle.window import Scored
from service.storage import Storage

PREFIX = "outcomes/"
ID_COLUMN = "lead_id"


@dataclass(frozen=True)
class Rejected:
    """A row that was set aside: where it stands, and why."""

    file: str
    row: int
    column: str
    reason: str


@dataclass(frozen=True)
class Outcomes:
    """By lead id, whether it converted; `corrected` counts outcomes that a later file changed."""

    converted: dict[str, bool]
    corrected: int
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True)
class Judged:
    """Scored leads whose outcome is final, `target` 1 where one converted. `without_outcome` of that age have none."""

    scored: Scored
    target: npt.NDArray[np.int8]
    without_outcome: int


def read_outcomes(source: Source, leads: Storage) -> Outcomes:
    """All outcomes below `outcomes/`, CSV or Parquet; of two for one lead the one in the later file (by name) holds.

    Files have the source's id column (or `lead_id`, where it names none) and its target column. A row that cannot be
    used is rejected, the others count. Raises SourceError for a file that is not what it should be, and StorageError.
    """
    converted: dict[str, bool] = {}
    corrected, rejected = 0, []
    for key in leads.keys(PREFIX):
        if (stored := leads.read(key)) is None:
            continue
        table = parse_table(f"{leads.url}/{key}", stored.data, source.delimiter)
        found: dict[str, set[bool]] = {}
        for lead, outcome, bad in _rows(source, table):
            if bad:
                rejected.append(bad)
            else:
                found.setdefault(lead, set()).add(outcome)
        for lead, said in found.items():
            if len(said) > 1:
                rejected.append(Rejected(table.origin, 0, source.target_column, f"{lead!r} has two outcomes"))
                continue
            (now,) = said
            corrected += converted.get(lead, now) != now
            converted[lead] = now
    return Outcomes(converted, corrected, tuple(rejected))


def judge(scored: Scored, outcomes: Outcomes, now: datetime, maturity: timedelta) -> Judged:
    """Those of the leads that were scored `maturity` ago or earlier and have an outcome."""
    ripe = scored.table["time"] <= pd.Timestamp(now - maturity)
    known = scored.table["lead_id"].isin(outcomes.converted.keys())
    kept = scored.select(ripe & known)
    target = np.array([outcomes.converted[lead] for lead in kept.table["lead_id"]], dtype=np.int8)
    return Judged(kept, target, int((ripe & ~known).sum()))


def _rows(source: Source, table: Table) -> Iterator[tuple[str, bool, Rejected | None]]:
    id_column = source.id_column or ID_COLUMN
    for column in (id_column, source.target_column):
        if column not in table.cells.column_names:
            raise SourceError(
                f"{table.origin}: has no column {column!r} (it has: {', '.join(table.cells.column_names)})"
            )
    ids, targets = (table.cells[column].to_pylist() for column in (id_column, source.target_column))
    for index, (lead, said) in enumerate(zip(ids, targets, strict=True)):
        reason = column = ""
        if lead is None or not str(lead).strip():
            column, reason = id_column, "no lead is named"
        elif said is None or not str(said).strip():
            column, reason = source.target_column, "the lead has no outcome"
        bad = Rejected(table.origin, table.row(index), column, reason) if reason else None
        yield str(lead).strip(), _same(said, source.positive), bad


def _same(said: object, positive: str | bool | float) -> bool:
    """Whether the cell says the positive value, however it is written: true and True, 1 and 1.0."""
    if isinstance(positive, bool):
        return str(said).strip().lower() == str(positive).lower()
    if isinstance(positive, str):
        return str(said).strip() == positive
    try:
        return float(str(said)) == positive
    except ValueError:
        return False
