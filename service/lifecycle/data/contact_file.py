"""Files of contacts: which leads sales contacted, and when. And files of the groups that leads are in."""

from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.lifecycle.data.column_names import with_columns
from service.lifecycle.data.columns import read_column
from service.lifecycle.data.outcome_file import id_texts, microsecond_times
from service.lifecycle.data.quarantine import Rejected
from service.lifecycle.data.source import ContactFiles, Source
from service.lifecycle.data.table import Table
from service.lifecycle.relations.contacts import CONTACT_ROWS, GROUP_ROWS
from service.lifecycle.relations.lead_keys import as_ids, lead_keys
from service.model.spelling import fold


class LeadRows(NamedTuple):
    """The rows of one file as CONTACT_ROWS or GROUP_ROWS of `relations.contacts`, and those that name no lead.

    `until` is the newest contact's time, None where the file states no time.
    """

    rows: pa.Table
    rejected: tuple[Rejected, ...]
    until: datetime | None = None


def contact_rows(source: Source, table: Table, file_number: int = 0) -> LeadRows:
    """Who was contacted, and when; a lead may be in several rows. Raises SourceError where a stated column is missing.

    Channel and owner stay in the file: no figure needs them, and an owner's name is that of a person.
    """
    form = source.contacts
    named = {f"contacts.{name}": column for name, column in form.model_dump(exclude={"time_format"}).items()}
    table = with_columns(table, [(key, [column]) for key, column in (named | _id(source)).items()])
    texts = id_texts(table, source.contact_id)
    ids, count = as_ids(texts), len(texts)
    rows = pa.table(
        [
            lead_keys(ids),
            _times(table, form, source.zone),
            pa.array(np.full(count, file_number, dtype=np.int32)),
            pa.array(np.asarray(table.rows, dtype=np.int64)),
        ],
        schema=CONTACT_ROWS,
    )
    nameless = pc.equal(ids, "")
    rejected = _rejected(table, source.contact_id, nameless)
    return LeadRows(rows.filter(pc.invert(nameless)), rejected, pc.max(rows["time"]).as_py())


def group_rows(source: Source, table: Table, file_number: int = 0) -> LeadRows:
    """The values of the source's groups that the file has a column of. Raises SourceError for a file without the id."""
    present = set(map(fold, table.cells.column_names))
    groups = [name for name in source.groups if fold(name) in present]
    table = with_columns(table, [("id_column", [source.outcome_id]), ("groups", groups)])
    ids = as_ids(id_texts(table, source.outcome_id))
    nameless = pc.equal(ids, "")
    parts = [GROUP_ROWS.empty_table()]
    for name in groups:
        columns = [
            lead_keys(ids),
            pa.array([name] * len(ids), pa.string()),
            _words(table, name),
            pa.array(np.full(len(ids), file_number, dtype=np.int32)),
            pa.array(np.asarray(table.rows, dtype=np.int64)),
        ]
        rows = pa.table(columns, schema=GROUP_ROWS)
        parts.append(rows.filter(pc.and_(pc.invert(nameless), pc.is_valid(rows["value"]))))
    return LeadRows(pa.concat_tables(parts), _rejected(table, source.outcome_id, nameless))


def _rejected(table: Table, id_column: str, nameless: pa.Array) -> tuple[Rejected, ...]:
    rows = np.asarray(table.rows)[np.asarray(nameless)]
    return tuple(Rejected(file=table.origin, row=int(row), column=id_column, reason="no lead is named") for row in rows)


def _id(source: Source) -> dict[str, str | None]:
    return {"contacts.id_column": source.contact_id}


def _times(table: Table, form: ContactFiles, zone: ZoneInfo) -> pa.Array:
    """When the contacts were, null where a row or the file does not say."""
    if form.time_column is None:
        return microsecond_times(None, len(table.rows))
    timed = read_column(table, form.time_column).codes >= 0
    if not timed.any():
        return microsecond_times(None, len(table.rows))
    times = microsecond_times(read_column(table.only(timed), form.time_column).times(form.time_format, zone), 0)
    return times.take(pa.array(np.cumsum(timed) - 1, mask=~timed))


def _words(table: Table, name: str) -> pa.Array:
    """The column's cells as text, null where they are empty."""
    column = read_column(table, name)
    return pa.array([*map(str, column.values), None], pa.string()).take(
        pa.array(np.where(column.codes < 0, len(column.values), column.codes))
    )
