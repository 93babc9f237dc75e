"""A file of outcomes: what it says of each lead, beside the leads at a first training and in the closed loop alike."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from service.lifecycle.data.column_names import with_columns
from service.lifecycle.data.columns import Column, read_column
from service.lifecycle.data.inference import shortened
from service.lifecycle.data.outcome import OutcomeValues
from service.lifecycle.data.quarantine import Rejected
from service.lifecycle.data.source import Source, SourceError
from service.lifecycle.data.table import FileForm, Table, read_table
from service.lifecycle.relations.duck import without_records
from service.lifecycle.relations.lead_keys import as_ids, lead_keys
from service.lifecycle.relations.outcomes import CONTRADICTED, CONVERTED, LOST, OPEN, OUTCOME_ROWS, outcomes
from service.reading.ids import as_id

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


class OutcomeRows(NamedTuple):
    """The rows of one file as `relations.outcomes.OUTCOME_ROWS`, those that say nothing, and the newest time."""

    rows: pa.Table
    rejected: tuple[Rejected, ...]
    until: datetime | None


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
    found = outcome_rows(source, values, table)
    with without_records() as engine:
        with engine.writing("outcome_rows", OUTCOME_ROWS) as write:
            write(found.rows)
        engine.define(outcomes())
        results = engine.results(["outcomes", "contradictions"])
    states: dict[int, list[str]] = {state: [] for state in (LOST, CONVERTED, OPEN, CONTRADICTED)}
    for lead, state in zip(*(results["outcomes"][name].to_pylist() for name in ("lead_key", "state")), strict=True):
        states[state].append(lead)
    return OutcomeFile(
        dict.fromkeys(states[CONVERTED], True) | dict.fromkeys(states[LOST], False),
        frozenset(states[OPEN]),
        frozenset(states[CONTRADICTED]),
        (*found.rejected, *contradicted(source, [table.origin], results["contradictions"])),
        found.until,
    )


def outcome_rows(source: Source, values: OutcomeValues, table: Table, file_number: int = 0) -> OutcomeRows:
    """What each row of a file says. Raises SourceError for a file that holds an outcome of unknown meaning."""
    column = read_column(table, source.outcome_column)
    if unknown := [code for code, value in enumerate(column.values) if not values.known(value)]:
        raise SourceError(f"{table.origin}: {_unknown(column, values, unknown)}")
    texts = id_texts(table, source.outcome_id)
    ids = as_ids(texts)
    # Where open leads are stated, a blank cell is one.
    blank_is_open = values.negative_stated or source.absent_after_days is not None
    nameless = pc.equal(ids, "").to_numpy(zero_copy_only=False)
    silent = np.zeros(len(ids), dtype=bool) if blank_is_open else column.codes < 0
    said = pa.array([*map(values.converted, column.values), None], pa.bool_())
    spelled = pa.array([*map(str, column.values), ""], pa.string())
    codes = pa.array(np.where(column.codes < 0, len(column.values), column.codes))
    times = _times(source, table)
    numbers = np.asarray(table.rows, dtype=np.int64)
    every = pa.table(
        [
            lead_keys(ids),
            said.take(codes),
            microsecond_times(times, len(ids)),
            pa.array(np.full(len(ids), file_number, dtype=np.int32)),
            pa.array(numbers),
            texts,
            spelled.take(codes),
        ],
        schema=OUTCOME_ROWS,
    )
    bad = nameless | silent
    rejected = [
        _rejected(
            source,
            table.origin,
            row,
            source.outcome_id if not as_id(row["id_text"]) else source.outcome_column,
            "no lead is named" if not as_id(row["id_text"]) else "the lead has no outcome",
        )
        for row in every.filter(pa.array(bad)).to_pylist()
    ]
    until = None if times is None else times.max().to_pydatetime()
    return OutcomeRows(every.filter(pa.array(~bad)), tuple(rejected), until)


def contradicted(source: Source, origins: Sequence[str], rows: pa.Table) -> list[Rejected]:
    """The rows of leads with two outcomes in one file, which `origins` name by the file's number."""
    by_lead: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(rows.to_pylist(), key=lambda row: (row["file_number"], row["row"])):
        by_lead[row["file_number"], row["lead_key"]].append(row)
    rejected = []
    for (file, _), mine in by_lead.items():
        because = f"the lead has two outcomes in this file, rows {', '.join(str(row['row']) for row in mine)}"
        rejected += [_rejected(source, origins[file], row, source.outcome_column, because) for row in mine]
    return rejected


def _rejected(source: Source, origin: str, row: dict[str, Any], column: str, reason: str) -> Rejected:
    return Rejected(
        file=origin,
        row=row["row"],
        column=column,
        reason=reason,
        lead_id=as_id(row["id_text"]),
        content=f"{source.outcome_id}={row['id_text'].strip()} {source.outcome_column}={row['outcome_text']}",
    )


def id_texts(table: Table, name: str) -> pa.Array:
    """The ids in a column as text, "" where a cell is empty. Raises SourceError where a spreadsheet cut one."""
    texts = _texts(table.cells[name].combine_chunks())
    if cut := shortened(texts.filter(pc.match_substring(texts, "E+")).to_pylist()):
        raise SourceError(f"{table.origin}: the id {cut!r} has lost digits in a spreadsheet; export it as text")
    return texts


def microsecond_times(times: pd.DatetimeIndex | None, rows: int) -> pa.Array:
    """The times of so many rows, null where there are none."""
    if times is None:
        return pa.nulls(rows, pa.timestamp("us", "UTC"))
    return pa.array(times.tz_convert("UTC")).cast(pa.timestamp("us", "UTC"), safe=False)


def _texts(cells: pa.Array) -> pa.Array:
    """The cells as text, "" where they are empty; whole numbers without a decimal point."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type) or pa.types.is_integer(cells.type):
        return cells.cast(pa.string()).fill_null("")
    encoded = cells.dictionary_encode()
    distinct = pa.array([as_id(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return distinct.take(encoded.indices).fill_null("")


def _times(source: Source, table: Table) -> pd.DatetimeIndex | None:
    if source.outcomes is None or source.outcomes.time_column is None:
        return None
    return read_column(table, source.outcomes.time_column).times(source.outcomes.time_format, source.zone)


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
