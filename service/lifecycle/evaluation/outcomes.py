"""Reads outcomes of scored leads from the CRM's files below `outcomes/`, which arrive late and in several parts."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from service.lifecycle.data.ids import as_id, join_key
from service.lifecycle.data.outcome import OutcomeValues
from service.lifecycle.data.quarantine import Rejected
from service.lifecycle.data.source import Source, SourceError
from service.lifecycle.data.table import Table, form_of_table, parse_table
from service.lifecycle.evaluation.scored import ScoredLeads
from service.storage import Storage

PREFIX = "outcomes/"

SHOWN = 5
"""Unknown spellings of an outcome that a message names at most."""


@dataclass(frozen=True)
class Outcomes:
    """By `join_key` of the lead's id, whether it converted; `corrected` counts outcomes that a later file changed."""

    converted: dict[str, bool]
    corrected: int
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True)
class LabelledScores:
    """Scored leads whose outcome is final, `target` 1 where one converted. `without_outcome` of that age have none.

    `not_scored` counts outcomes of leads that are not among the scored ones: of another time, or unknown.
    """

    scored: ScoredLeads
    target: npt.NDArray[np.int8]
    without_outcome: int
    not_scored: int


@dataclass(frozen=True)
class _Row:
    """A lead and whether it converted, as one row of a file says."""

    lead: str
    converted: bool
    at: Rejected


def read_outcomes(source: Source, values: OutcomeValues, leads: Storage) -> Outcomes:
    """All outcomes below `outcomes/`, CSV or Parquet; of two for one lead the one in the later file (by name) holds.

    Files have the source's id column (or `lead_id`, where it names none) and its target column. Rejected are rows
    without lead or outcome, two outcomes for a lead in one file, and every file that cannot be read or that holds an
    outcome other than the source's two `values`: which of the two such a file means cannot be known, for any of its
    rows. All other rows count. Raises StorageError.
    """
    converted: dict[str, bool] = {}
    corrected = 0
    rejected: list[Rejected] = []
    for key in leads.keys(PREFIX):
        stored = None if key.endswith("/") else leads.read(key)  # a console's folder is an empty object
        if stored is None:
            continue
        origin = f"{leads.url}/{key}"
        try:
            rows, bad = _rows(source, values, parse_table(origin, stored.data, form_of_table(source)))
        except SourceError as error:
            rejected.append(Rejected(file=origin, row=0, column="", reason=str(error).removeprefix(f"{origin}: ")))
            continue
        rejected += bad
        by_lead: dict[str, list[_Row]] = {}
        for row in rows:
            by_lead.setdefault(row.lead, []).append(row)
        for lead, each in by_lead.items():
            if len({row.converted for row in each}) > 1:
                places = ", ".join(str(row.at.row) for row in each)
                rejected += [_because(row.at, f"the lead has two outcomes in this file, rows {places}") for row in each]
                continue
            now = each[0].converted
            corrected += converted.get(lead, now) != now
            converted[lead] = now
    return Outcomes(converted, corrected, tuple(rejected))


def judge(scored: ScoredLeads, outcomes: Outcomes, now: datetime, maturity: timedelta) -> LabelledScores:
    """Those of the leads that were scored `maturity` ago or earlier and have an outcome."""
    ripe = scored.table["time"] <= pd.Timestamp(now - maturity)
    known = scored.table["lead_id"].map(join_key).isin(outcomes.converted.keys())
    kept = scored.select(ripe & known)
    target = np.array([outcomes.converted[join_key(lead)] for lead in kept.table["lead_id"]], dtype=np.int8)
    return LabelledScores(kept, target, int((ripe & ~known).sum()), len(outcomes.converted) - int(known.sum()))


def _rows(source: Source, values: OutcomeValues, table: Table) -> tuple[list[_Row], list[Rejected]]:
    """The file's rows, and those without lead or outcome. Raises SourceError for a file that is to be set aside."""
    id_column = source.lead_id
    for column in (id_column, source.target_column):
        if column not in table.cells.column_names:
            raise SourceError(
                f"{table.origin}: has no column {column!r} (it has: {', '.join(table.cells.column_names)})"
            )
    ids, outcomes = (table.cells[column].to_pylist() for column in (id_column, source.target_column))
    spelled = [_text(outcome) for outcome in outcomes]
    known = {text: values.converted(text) for text in set(spelled)}
    if unknown := {text for text, converted in known.items() if text and converted is None}:
        raise SourceError(f"{table.origin}: {_unknown(source, values, table, spelled, unknown)}")
    rows, rejected = [], []
    for index, (lead, outcome) in enumerate(zip(ids, spelled, strict=True)):
        name = as_id(lead)
        at = Rejected(
            file=table.origin,
            row=table.row(index),
            column=source.target_column if name else id_column,
            reason="no lead is named" if not name else "the lead has no outcome",
            lead_id=name,
            content=f"{id_column}={_text(lead)} {source.target_column}={outcome}",
        )
        converted = known[outcome]
        if name and converted is not None:
            rows.append(_Row(join_key(name), converted, at))
        else:
            rejected.append(at)
    return rows, rejected


def _unknown(source: Source, values: OutcomeValues, table: Table, spelled: list[str], unknown: set[str]) -> str:
    """Why a file with outcomes that are neither of the source's two is set aside, and what to do."""
    count = Counter(text for text in spelled if text in unknown)
    shown = [
        f"{text[:40]!r} in {rows:,} rows, the first row {table.row(spelled.index(text))}"
        for text, rows in count.most_common(SHOWN)
    ]
    more = f"; and {len(count) - SHOWN:,} other spellings" if len(count) > SHOWN else ""
    return (
        f"column {source.target_column!r} holds outcomes that are neither {values.positive!r} nor {values.negative!r}, "
        f"the two of the lead source: {'; '.join(shown)}{more}. None of its {len(spelled):,} rows was used; replace "
        "the file by one that spells outcomes as the lead source does, without leads that have no outcome yet"
    )


def _because(at: Rejected, reason: str) -> Rejected:
    return msgspec.structs.replace(at, reason=reason)


def _text(cell: object) -> str:
    """As written; "" for a cell that is empty in one of the ways that CSV and Parquet know."""
    return "" if cell is None or cell != cell else str(cell).strip()
