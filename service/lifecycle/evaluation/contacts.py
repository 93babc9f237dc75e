"""Reads whom sales contacted, from the CRM's files below `contacts/` of the leads' storage."""

from contextlib import suppress
from dataclasses import dataclass, replace

from service.lifecycle.data.contact_file import contact_rows
from service.lifecycle.data.outcome_file import form_of_outcomes
from service.lifecycle.data.quarantine import Rejected
from service.lifecycle.data.source import Source, SourceError
from service.lifecycle.data.table import Table, parse_table
from service.lifecycle.relations.contacts import CONTACT_ROWS, CONTACTS
from service.lifecycle.relations.relation import RelationEngine
from service.storage import Storage

PREFIX = "contacts/"


@dataclass(frozen=True)
class WrittenContacts:
    """The rows of all files are in an engine's `contact_rows`. `files` were read; `rejected` rows name no lead."""

    files: int
    rejected: tuple[Rejected, ...]


def write_contacts(engine: RelationEngine, source: Source, leads: Storage) -> WrittenContacts:
    """Write the rows of all files below `contacts/` to the engine, which has `first_scores`; define `contacts`.

    Files are CSV or Parquet, and have the columns that the source names under `contacts`. A file that cannot be read,
    and a row that names no lead, is rejected. Raises StorageError.
    """
    rejected, files = list[Rejected](), 0
    with engine.writing("contact_rows", CONTACT_ROWS) as write:
        for key in leads.keys(PREFIX):
            stored = None if key.endswith("/") else leads.read(key)  # a console's folder is an empty object
            if stored is None:
                continue
            origin = f"{leads.url}/{key}"
            try:
                found = contact_rows(source, _table(source, origin, stored.data), files)
            except SourceError as error:
                rejected.append(Rejected(file=origin, row=0, column="", reason=str(error).removeprefix(f"{origin}: ")))
                continue
            files += 1
            rejected += found.rejected
            write(found.rows)
    engine.define([CONTACTS])
    return WrittenContacts(files, tuple(rejected))


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
