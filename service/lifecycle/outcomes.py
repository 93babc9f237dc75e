"""What became of the scored leads: outcomes arrive late and in pieces, as files of the CRM's below `outcomes/`."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from service.lifecycle.leads import meaning
from service.lifecycle.quarantine import Rejected
from service.lifecycle.source import Source, SourceError
from service.lifecycle.table import Table, parse_table
from service.lifecycle.window import Scored
from service.storage import Storage

PREFIX = "outcomes/"


@dataclass(frozen=True)
class Outcomes:
    """By lead id, whether it converted; `corrected` counts outcomes that a later file changed."""

    converted: dict[str, bool]
    corrected: int
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True)
class Judged:
    """Scored leads whose outcome is final, `target` 1 where one converted. `without_outcome` of that age have none.

    `not_scored` counts outcomes of leads that are not among the scored ones: of another time, or unknown.
    """

    scored: Scored
    target: npt.NDArray[np.int8]
    without_outcome: int
    not_scored: int


@dataclass(frozen=True)
class _Row:
    """A lead and what the file says of it."""

    lead: str
    says: object
    at: Rejected


def read_outcomes(source: Source, leads: Storage) -> Outcomes:
    """All outcomes below `outcomes/`, CSV or Parquet; of two for one lead the one in the later file (by name) holds.

    Files have the source's id column (or `lead_id`, where it names none) and its target column. A row, or a whole file,
    that cannot be used is rejected and the others count: a row without lead or outcome, two outcomes for a lead in one
    file, and what is neither the source's positive value nor the one that most others say. Raises StorageError.
    """
    files: list[list[_Row]] = []
    rejected: list[Rejected] = []
    for key in leads.keys(PREFIX):
        if stored := leads.read(key):
            origin = f"{leads.url}/{key}"
            try:
                files.append(list(_rows(source, parse_table(origin, stored.data, source.delimiter), rejected)))
            except SourceError as error:
                rejected.append(Rejected(file=origin, row=0, column="", reason=str(error).removeprefix(f"{origin}: ")))
    positive = meaning(source.positive)
    others = Counter(row.says for rows in files for row in rows if row.says != positive)
    negative = others.most_common(1)[0][0] if others else None
    converted: dict[str, bool] = {}
    corrected = 0
    for rows in files:
        said: dict[str, list[_Row]] = {}
        for row in rows:
            if row.says in (positive, negative):
                said.setdefault(row.lead, []).append(row)
            else:
                rejected.append(_because(row, f"says {row.says!r}, neither {source.positive!r} nor {negative!r}"))
        for lead, each in said.items():
            if len({row.says for row in each}) > 1:
                places = ", ".join(str(row.at.row) for row in each)
                rejected += [_because(row, f"the lead has two outcomes in this file, rows {places}") for row in each]
                continue
            now = each[0].says == positive
            corrected += converted.get(lead, now) != now
            converted[lead] = now
    return Outcomes(converted, corrected, tuple(rejected))


def judge(scored: Scored, outcomes: Outcomes, now: datetime, maturity: timedelta) -> Judged:
    """Those of the leads that were scored `maturity` ago or earlier and have an outcome."""
    ripe = scored.table["time"] <= pd.Timestamp(now - maturity)
    known = scored.table["lead_id"].isin(outcomes.converted.keys())
    kept = scored.select(ripe & known)
    target = np.array([outcomes.converted[lead] for lead in kept.table["lead_id"]], dtype=np.int8)
    return Judged(kept, target, int((ripe & ~known).sum()), len(outcomes.converted) - int(known.sum()))


def _rows(source: Source, table: Table, rejected: list[Rejected]) -> Iterator[_Row]:
    id_column = source.lead_id
    for column in (id_column, source.target_column):
        if column not in table.cells.column_names:
            raise SourceError(
                f"{table.origin}: has no column {column!r} (it has: {', '.join(table.cells.column_names)})"
            )
    ids, targets = (table.cells[column].to_pylist() for column in (id_column, source.target_column))
    for index, (lead, said) in enumerate(zip(ids, targets, strict=True)):
        # A column of whole numbers with a gap is one of floats in Parquet.
        name = _text(int(lead) if isinstance(lead, float) and lead.is_integer() else lead)
        at = Rejected(
            file=table.origin,
            row=table.row(index),
            column=source.target_column if name else id_column,
            reason="no lead is named" if not name else "the lead has no outcome",
            lead_id=name,
            content=f"{id_column}={_text(lead)} {source.target_column}={_text(said)}",
        )
        if name and _text(said):
            yield _Row(name, meaning(said), at)
        else:
            rejected.append(at)


def _because(row: _Row, reason: str) -> Rejected:
    return msgspec.structs.replace(row.at, reason=reason)


def _text(cell: object) -> str:
    """As written; "" for a cell that is empty in one of the ways that CSV and Parquet know."""
    return "" if cell is None or cell != cell else str(cell).strip()
