"""A file of outcomes: what it says of each lead, beside the leads at a first training and in the closed loop alike."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
import pandas as pd

from service.lifecycle.data.column_names import with_columns
from service.lifecycle.data.columns import Column, read_column
from service.lifecycle.data.inference import shortened
from service.lifecycle.data.outcome import OutcomeValues
from service.lifecycle.data.quarantine import Rejected
from service.lifecycle.data.source import Source, SourceError
from service.lifecycle.data.table import FileForm, Table, read_table
from service.reading.ids import as_id, join_key

SHOWN = 5
"""Unknown spellings of an outcome that a message names at most."""


@dataclass(frozen=True)
class OutcomeFile:
    """What a file says of each lead, by `join_key` of its id: whether it converted, that it is open, or two things.

    `rejected` are rows without lead or outcome, and those of a lead with two outcomes. `until` is the newest time.
    """

    converted: dict[str, bool]
    open: frozenset[str]
    contradicted: frozenset[str]
    rejected: tuple[Rejected, ...]
    until: datetime | None


@dataclass(frozen=True)
class _Row:
    """A lead and whether it converted, None where it is open, as one row of a file says."""

    lead: str
    converted: bool | None
    time: pd.Timestamp | None
    at: Rejected


def form_of_outcomes(source: Source) -> FileForm:
    """What the source says of its files of outcomes."""
    sheet = source.outcomes.sheet if source.outcomes else source.sheet
    return FileForm(source.delimiter, source.encoding, sheet)


def read_beside(source: Source) -> Table:
    """The file of outcomes beside the leads, which the source names. Raises SourceError."""
    return named_columns(source, read_table(source.outcomes_location, form_of_outcomes(source)))


def named_columns(source: Source, table: Table) -> Table:
    """A file of outcomes with its columns called as the source calls them. Raises SourceError without one."""
    beside = "outcomes." if source.outcomes else ""
    return with_columns(
        table,
        [
            (f"{beside}id_column", [source.outcome_id]),
            (f"{beside}target_column", [source.outcome_column]),
            ("outcomes.time_column", [source.outcomes.time_column if source.outcomes else None]),
        ],
    )


def understand(source: Source, values: OutcomeValues, table: Table) -> OutcomeFile:
    """What a file of outcomes says. Of several rows for a lead the last by time holds, where the file has times.

    Raises SourceError for a file that holds an outcome of unknown meaning: what its other rows mean is not known then.
    """
    column = read_column(table, source.outcome_column)
    if unknown := [code for code, value in enumerate(column.values) if not values.known(value)]:
        raise SourceError(f"{table.origin}: {_unknown(column, values, unknown)}")
    if cut := shortened(read_column(table, source.outcome_id).values):
        raise SourceError(f"{table.origin}: the id {cut!r} has lost digits in a spreadsheet; export it as text")
    by_lead: dict[str, list[_Row]] = defaultdict(list)
    rejected = []
    times = _times(source, table)
    for row in _rows(source, values, table, column, times):
        if isinstance(row, Rejected):
            rejected.append(row)
        else:
            by_lead[row.lead].append(row)
    converted: dict[str, bool] = {}
    opened, contradicted = set(), set()
    for lead, rows in by_lead.items():
        last = _last(rows)
        said = {row.converted for row in last} - {None}
        if len(said) > 1:
            contradicted.add(lead)
            places = ", ".join(str(row.at.row) for row in last)
            because = f"the lead has two outcomes in this file, rows {places}"
            rejected += [msgspec.structs.replace(row.at, reason=because) for row in last]
        elif said:
            converted[lead] = True in said
        else:
            opened.add(lead)
    until = None if times is None else times.max().to_pydatetime()
    return OutcomeFile(converted, frozenset(opened), frozenset(contradicted), tuple(rejected), until)


def _times(source: Source, table: Table) -> pd.DatetimeIndex | None:
    if source.outcomes is None or source.outcomes.time_column is None:
        return None
    return read_column(table, source.outcomes.time_column).times(source.outcomes.time_format)


def _rows(
    source: Source, values: OutcomeValues, table: Table, column: Column, times: pd.DatetimeIndex | None
) -> list[_Row | Rejected]:
    """Each row of the file, or why it says nothing."""
    said = [*map(values.converted, column.values), None]
    # Where open leads are stated, a blank cell is one.
    blank_is_open = values.negative_stated or source.absent_after_days is not None
    ids = table.cells[source.outcome_id].to_pylist()
    rows: list[_Row | Rejected] = []
    for index, (lead, code) in enumerate(zip(ids, column.codes.tolist(), strict=True)):
        name = as_id(lead)
        outcome = "" if code < 0 else str(column.values[code])
        at = Rejected(
            file=table.origin,
            row=table.row(index),
            column=source.outcome_column if name else source.outcome_id,
            reason="no lead is named" if not name else "the lead has no outcome",
            lead_id=name,
            content=f"{source.outcome_id}={'' if lead is None or lead != lead else str(lead).strip()} "
            f"{source.outcome_column}={outcome}",
        )
        if not name or (code < 0 and not blank_is_open):
            rows.append(at)
        else:
            rows.append(_Row(join_key(name), said[code], None if times is None else times[index], at))
    return rows


def _last(rows: Sequence[_Row]) -> list[_Row]:
    """The rows of the latest time; all where there are no times."""
    newest = max((row.time for row in rows if row.time is not None), default=None)
    return [row for row in rows if row.time == newest]


def _unknown(column: Column, values: OutcomeValues, unknown: Sequence[int]) -> str:
    """Why a file with outcomes of unknown meaning is set aside, and what to do."""
    counts = Counter({code: int(column.counts[code]) for code in unknown})
    shown = [
        f"{str(column.values[code])[:40]!r} in {rows:,} rows, the first row "
        f"{column.table.row(int((column.codes == code).argmax()))}"
        for code, rows in counts.most_common(SHOWN)
    ]
    more = f"; and {len(counts) - SHOWN:,} other spellings" if len(counts) > SHOWN else ""
    known = " nor ".join(map(repr, (*values.positive, *values.negative, *values.others)))
    return (
        f"column {column.name!r} holds outcomes that are neither {known}, those of the lead source: "
        f"{'; '.join(shown)}{more}. None of its {len(column.codes):,} rows was used. Spell outcomes as the lead source "
        "does, or state its negative values there: all others are open leads then"
    )
