"""Reads whom sales contacted and which groups leads are in, from files below `contacts/` and `groups/`."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pyarrow as pa

from service.lifecycle.data.contact_file import LeadRows, contact_rows, group_rows
from service.lifecycle.data.outcome_file import form_of_outcomes
from service.lifecycle.data.quarantine import Rejected
from service.lifecycle.data.source import Source, SourceError
from service.lifecycle.data.table import Table, parse_table
from service.lifecycle.relations.contacts import CONTACT_ROWS, CONTACTS, GROUP_ROWS, groups
from service.lifecycle.relations.relation import RelationEngine
from service.storage import Storage

PREFIX, GROUPS = "contacts/", "groups/"
STALE = timedelta(days=7)
"""Age of the newest contact from which files of contacts count as stopped: longer than a weekend with holidays."""

Reader = Callable[[Source, Table, int], LeadRows]


@dataclass(frozen=True)
class WrittenFiles:
    """The rows of all files are in an engine's relation. `files` were read; `rejected` rows name no lead.

    `until` is the newest time of a contact, None where no file states one.
    """

    files: int
    rejected: tuple[Rejected, ...]
    until: datetime | None = None

    def doubt(self, now: datetime) -> str:
        """Why sales may have contacted leads that no file names; empty where nothing suggests it.

        Files without times do not show when they stopped.
        """
        if unreadable := sum(row.row == 0 for row in self.rejected):
            return f"{unreadable:,} list{'' if unreadable == 1 else 's'} of contacts could not be read"
        if self.until and now - self.until > STALE:
            return f"the newest contact in the lists is of {self.until.day} {self.until:%B %Y}"
        return ""


def write_contacts(engine: RelationEngine, source: Source, leads: Storage) -> WrittenFiles:
    """Write the rows of all files below `contacts/` to the engine, which has `first_scores`; define `contacts`.

    Files are CSV or Parquet, and have the columns that the source names under `contacts`. A file that cannot be read,
    and a row that names no lead, is rejected. Raises StorageError.
    """
    written = _write(engine, "contact_rows", CONTACT_ROWS, source, leads, PREFIX, contact_rows)
    engine.define([CONTACTS])
    return written


def write_groups(engine: RelationEngine, source: Source, leads: Storage) -> WrittenFiles:
    """Write the rows of all files below `groups/` to the engine, which has `scored_outcomes`; define `group_counts`.

    Files are as those of contacts, and have a column for each of the source's groups, or for some. Raises StorageError.
    """
    written = _write(engine, "group_rows", GROUP_ROWS, source, leads, GROUPS, group_rows)
    engine.define(groups(source.groups))
    return written


def _write(
    engine: RelationEngine,
    relation: str,
    schema: pa.Schema,
    source: Source,
    leads: Storage,
    prefix: str,
    rows_of: Reader,
) -> WrittenFiles:
    rejected, files, until = list[Rejected](), 0, None
    with engine.writing(relation, schema) as write:
        for key in leads.keys(prefix):
            stored = None if key.endswith("/") else leads.read(key)  # a console's folder is an empty object
            if stored is None:
                continue
            origin = f"{leads.url}/{key}"
            try:
                found = rows_of(source, _table(source, origin, stored.data), files)
            except SourceError as error:
                rejected.append(Rejected(file=origin, row=0, column="", reason=str(error).removeprefix(f"{origin}: ")))
                continue
            files += 1
            rejected += found.rejected
            until = max(filter(None, (until, found.until)), default=None)
            write(found.rows)
    return WrittenFiles(files, tuple(rejected), until)


def _table(source: Source, origin: str, data: bytes) -> Table:
    """The file's cells. A file of ids alone has no delimiter, which none can be told from."""
    form = form_of_outcomes(source)
    try:
        return parse_table(origin, data, form)
    except SourceError:
        if form.delimiter is None:
            with suppress(SourceError):
                if (table := parse_table(origin, data, replace(form, delimiter=","))).cells.num_columns == 1:
                    return table
        raise
