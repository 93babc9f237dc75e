"""Which leads of a source have an outcome that a model may learn from, and which one."""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from service.lifecycle.data.columns import Column, read_column
from service.lifecycle.data.inference import shortened
from service.lifecycle.data.outcome import OutcomeValues, counted, find_outcomes
from service.lifecycle.data.outcome_file import OutcomeFile, read_beside, understand
from service.lifecycle.data.source import Source, SourceError
from service.lifecycle.data.table import Table, listed
from service.lifecycle.relations.outcomes import CONTRADICTED, CONVERTED, LOST, OPEN
from service.model.reference import MIN_LEADS
from service.reading.ids import join_key

AHEAD = timedelta(days=1)
"""How far after the clock's time a time in a file may lie: zones differ."""


@dataclass(frozen=True)
class Labels:
    """The leads with an outcome, `target` 1 where one converted; `notes` say which others are left out, and why.

    The table's `sha256` is of the outcomes' file too, where there is one.
    """

    table: Table
    target: npt.NDArray[np.int8]
    values: OutcomeValues
    notes: tuple[str, ...]


class _Said(NamedTuple):
    """What is said of each lead: its state, and its value in `column`, -1 where it has none."""

    state: npt.NDArray[np.int8]
    column: Column
    codes: npt.NDArray[np.int64]
    values: OutcomeValues
    notes: list[str]
    until: datetime | None = None


def label(source: Source, table: Table) -> Labels:
    """The leads of the table that have an outcome. Raises SourceError where outcomes cannot be told."""
    said = _beside(source, table) if source.outcomes else _within(source, table)
    state, notes = said.state, said.notes
    shown = replace(said.column, codes=said.codes)
    if source.absent_after_days is not None and source.time_column is not None:
        state, said_of_age = _aged(source, table, said, shown, source.absent_after_days, source.time_column)
        notes.append(said_of_age)
    elif (still := state == OPEN).any():
        notes.append(f"{said.column.name}: {still.sum():,} open leads are left out: {counted(shown, still, MIN_LEADS)}")
    if source.outcomes:
        table = replace(table, sha256=hashlib.sha256(f"{table.sha256}{said.column.table.sha256}".encode()).hexdigest())
    kept = state < OPEN
    target = state[kept]
    if not 0 < target.sum() < len(target):
        what = "no lead has a final outcome"
        if len(target):
            what = f"all {len(target):,} leads with a final outcome {'converted' if target[0] else 'are lost'}"
        raise SourceError(f"{table.origin}: {what}; {'; '.join(notes)}")
    return Labels(table if kept.all() else table.only(kept), target, said.values, tuple(notes))


def outcome_column(source: Source, table: Table) -> Column:
    """The column with the outcomes: beside the leads where the source names such a file, else among these leads."""
    return read_column(read_beside(source) if source.outcomes else table, source.outcome_column)


def _within(source: Source, table: Table) -> _Said:
    """What the leads' own column says."""
    column = outcome_column(source, table)
    values = find_outcomes(source, column)
    states = [_state(values.converted(value)) for value in column.values]
    return _Said(np.array([*states, OPEN], dtype=np.int8)[column.codes], column, column.codes, values, [])


def _beside(source: Source, table: Table) -> _Said:
    """What the file of outcomes says of each lead."""
    column = outcome_column(source, table)
    values = find_outcomes(source, column)
    found = understand(source, values, column.table)
    ids = read_column(table, source.lead_id)
    if cut := shortened(ids.values):
        raise SourceError(f"{table.origin}, column {ids.name!r}: {cut!r} is a number that a spreadsheet has shortened")
    leads = np.array([*(join_key(value) for value in ids.values), ""], dtype=object)[ids.codes]
    states = {lead: _state(converted) for lead, converted in found.converted.items()}
    states |= dict.fromkeys(found.contradicted, CONTRADICTED)
    state = np.array([states.get(lead, OPEN) for lead in leads], dtype=np.int8)
    named = {*states, *found.open}
    joined = named & set(leads.tolist())
    if not joined:
        raise SourceError(
            f"{column.table.origin}: none of its {len(named):,} leads is in {table.origin}; do the columns "
            f"{source.outcome_id!r} there and {source.lead_id!r} here hold the same ids?"
        )
    codes = _codes(column, source, leads)
    notes = [*column.table.notes, *_notes_beside(source, table, column, found, len(named) - len(joined))]
    return _Said(state, column, codes, values, notes, found.until)


def _codes(column: Column, source: Source, leads: npt.NDArray[np.object_]) -> npt.NDArray[np.int64]:
    """For each lead the value that some row of the file has for it, -1 where none has; for what notes count."""
    ids = column.table.cells[source.outcome_id].to_pylist()
    by_lead = dict(zip((join_key(lead) for lead in ids), column.codes.tolist(), strict=True))
    return np.array([by_lead.get(lead, -1) for lead in leads], dtype=np.int64)


def _notes_beside(source: Source, table: Table, column: Column, found: OutcomeFile, unknown: int) -> list[str]:
    origin = column.table.origin
    notes = [f"{origin}: outcomes of {len(found.converted) + len(found.open) + len(found.contradicted):,} leads"]
    if unknown:
        notes.append(f"{origin}: {unknown:,} of its leads are not in {table.origin}")
    if found.contradicted:
        notes.append(
            f"{origin}: {len(found.contradicted):,} leads have two outcomes and are left out; outcomes.time_column "
            "would say which is the last"
        )
    if found.rejected:
        rows = listed([row.row for row in found.rejected])
        reasons = ", ".join(sorted({row.reason.partition(" in this file")[0] for row in found.rejected}))
        notes.append(f"{origin}, {rows}: not used, {reasons}")
    for name in {source.target_column, source.outcome_column} & set(table.cells.column_names):
        notes.append(f"{name}: left out, {origin} holds the outcomes")
    return notes


def _aged(
    source: Source, table: Table, said: _Said, shown: Column, days: float, time_column: str
) -> tuple[npt.NDArray[np.int8], str]:
    """The states where no conversion by `absent_after_days` is a loss, and a younger lead says nothing.

    A young lead that converted is left out too, for quick conversions would count and slow ones would not. Ages are
    counted to the newest time in the files, for an export may be old.
    """
    column = read_column(table, time_column)
    times = column.times(source.time_format, source.zone)
    newest, where = times.max(), column.where(int(times.argmax()))
    if said.until is not None and said.until > newest:
        newest, where = pd.Timestamp(said.until), said.column.table.origin
    if newest > pd.Timestamp(datetime.now(UTC) + AHEAD):
        raise SourceError(f"{where}: {newest:%Y-%m-%d} lies in the future, and ages are counted to the newest time")
    young = np.asarray(times > newest - timedelta(days=days))
    silent = (said.state == OPEN) & ~young
    state = np.where(silent, LOST, np.where(young, OPEN, said.state)).astype(np.int8)
    note = (
        f"{said.column.name}: {silent.sum():,} leads that did not convert within {days:g} days "
        f"count as lost ({counted(shown, silent, MIN_LEADS)}); {young.sum():,} younger ones are left out, of which "
        f"{(young & (said.state == CONVERTED)).sum():,} have converted. Ages are counted to {newest:%Y-%m-%d}, the "
        f"newest time ({where})"
    )
    return state, note


def _state(converted: bool | None) -> int:
    return OPEN if converted is None else CONVERTED if converted else LOST
