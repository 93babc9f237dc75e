"""A file of contacts: which leads sales contacted, when, how and by whom."""

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
from service.lifecycle.relations.contacts import CONTACT_ROWS
from service.lifecycle.relations.lead_keys import as_ids, lead_keys


class ContactRows(NamedTuple):
    """The rows of one file as `relations.contacts.CONTACT_ROWS`, and those that name no lead."""

    rows: pa.Table
    rejected: tuple[Rejected, ...]


def contact_rows(source: Source, table: Table, file_number: int = 0) -> ContactRows:
    """Who was contacted. A lead may be in several rows. Raises SourceError for a file without a stated column."""
    form = source.contacts
    named = {f"contacts.{name}": column for name, column in form.model_dump(exclude={"time_format"}).items()}
    table = with_columns(table, [(key, [column]) for key, column in (named | _id(source)).items()])
    texts = id_texts(table, source.contact_id)
    ids, count = as_ids(texts), len(texts)
    rows = pa.table(
        [
            lead_keys(ids),
            _times(table, form, source.zone),
            _words(table, form.channel_column),
            _words(table, form.owner_column),
            pa.array(np.full(count, file_number, dtype=np.int32)),
            pa.array(np.asarray(table.rows, dtype=np.int64)),
        ],
        schema=CONTACT_ROWS,
    )
    nameless = pc.equal(ids, "")
    rejected = tuple(
        Rejected(file=table.origin, row=row, column=source.contact_id, reason="no lead is named")
        for row in rows["row"].filter(nameless).to_pylist()
    )
    return ContactRows(rows.filter(pc.invert(nameless)), rejected)


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


def _words(table: Table, name: str | None) -> pa.Array:
    """The column's cells as text, null where they are empty or there is no such column."""
    if name is None:
        return pa.nulls(len(table.rows), pa.string())
    column = read_column(table, name)
    return pa.array([*map(str, column.values), None], pa.string()).take(
        pa.array(np.where(column.codes < 0, len(column.values), column.codes))
    )
