"""Leads taken out of one object: CSV, Parquet or JSON lines, gzip or not, told by its content."""

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from service.lifecycle.source import ID_COLUMN, SourceError
from service.lifecycle.table import header_of, sniff
from service.storage import Opened, Writable

READ = 1 << 20
"""Bytes read at once, and looked at to tell how a CSV file is written."""

GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Search:
    """The leads to be found, the columns that may name them, and the delimiter of CSV files where it is given."""

    leads: frozenset[str]
    id_columns: tuple[str, ...] = (ID_COLUMN,)
    delimiter: str | None = None

    def may_be_in(self, line: bytes) -> bool:
        """Whether the line has to be looked at more closely. What may be written in several ways always has."""
        plain = all(re.fullmatch(r"[\w.-]+", lead, re.ASCII) for lead in self.leads)
        return not plain or any(lead.encode() in line for lead in self.leads)


def without(origin: str, opened: Opened, kept: IO[bytes], search: Search) -> tuple[int, int]:
    """Copy the object without the leads, in its own form; return how many rows stay and how many are gone."""
    with ExitStack() as closing:
        plain: Any = closing.enter_context(io.BufferedReader(opened.file, READ))
        out: Any = kept
        if plain.peek(2)[:2] == GZIP:
            plain = closing.enter_context(gzip.GzipFile(fileobj=plain))
            out = closing.enter_context(gzip.GzipFile(fileobj=kept, mode="wb", compresslevel=6, mtime=0))
        start = plain.read(4)
        plain.seek(0)
        if start == b"PAR1":
            return _parquet(plain, out, search)
        if start[:1] == b"{":
            return _json_lines(origin, plain, out, search)
        return _csv(origin, plain, out, search)


def _json_lines(origin: str, lines: IO[bytes], out: Writable, search: Search) -> tuple[int, int]:
    rows = gone = 0
    for number, line in enumerate(lines, 1):
        if search.may_be_in(line) and _names(origin, number, line, search):
            gone += 1
        else:
            rows += 1
            out.write(line)
    return rows, gone


def _names(origin: str, number: int, line: bytes, search: Search) -> bool:
    """Whether the line is one of the leads'. A row that was set aside may name its lead in its content alone."""
    try:
        content = json.loads(line)
    except ValueError as error:
        raise SourceError(f"{origin}, line {number}: {error}") from error
    if lead := str(content.get(ID_COLUMN, "")).strip():
        return lead in search.leads
    return any(lead in str(content.get("content", "")) for lead in search.leads)


def _csv(origin: str, data: IO[bytes], out: Writable, search: Search) -> tuple[int, int]:
    """Rows that stay keep their very bytes. A row is found by any cell, for it may not be cut like the header."""
    delimiter = search.delimiter or sniff(origin, data.read(READ).decode("utf-8-sig", errors="replace"))
    data.seek(0)
    rows = gone = 0
    records = _records(data, delimiter)
    header = next(records)
    names = header_of(header.decode("utf-8-sig"), delimiter)
    at = [names.index(column) for column in search.id_columns if column in names]
    if not at:
        raise SourceError(
            f"{origin}: has no column {' or '.join(map(repr, search.id_columns))}; name it with --id-column"
        )
    out.write(header)
    for record in records:
        if not search.may_be_in(record):
            rows += bool(record.strip())
            out.write(record)
            continue
        cells = [cell.strip() for cell in next(csv.reader([record.decode(errors="replace")], delimiter=delimiter), [])]
        named = [cells[i] for i in at] if len(cells) == len(names) else cells
        if search.leads.isdisjoint(named):
            rows += bool(cells)
            out.write(record)
        else:
            gone += 1
    return rows, gone


def _records(data: IO[bytes], delimiter: str) -> Iterator[bytes]:
    """CSV records with their line ends: lines, put together where a quoted cell goes on."""
    whole = b""
    for line in data:
        whole += line
        if whole.count(b'"') % 2 == 0 or not _goes_on(whole, delimiter):
            yield whole
            whole = b""
    if whole:
        yield whole


def _goes_on(record: bytes, delimiter: str) -> bool:
    """Whether a quoted cell is still open at the end; a quote within a plain cell opens none."""
    try:
        list(csv.reader(io.StringIO(record.decode(errors="replace"), newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False


def _parquet(data: IO[bytes], out: Writable, search: Search) -> tuple[int, int]:
    read = parquet.ParquetFile(data, pre_buffer=False)
    at = [column for column in search.id_columns if column in read.schema_arrow.names]
    if not at:
        raise SourceError(f"has no column {' or '.join(map(repr, search.id_columns))}; name it with --id-column")
    rows = gone = 0
    wanted = pa.array(sorted(search.leads))
    with parquet.ParquetWriter(out, read.schema_arrow, compression="zstd") as writer:
        for part in read.iter_batches():
            there = pa.array([False] * part.num_rows)
            for column in at:
                named = part.column(column)
                if pa.types.is_dictionary(named.type):
                    named = named.cast(named.type.value_type)
                text = pc.utf8_trim_whitespace(named.cast(pa.string()))
                there = pc.or_(there, pc.is_in(text, wanted))
            stay = part.filter(pc.invert(there))
            rows, gone = rows + stay.num_rows, gone + part.num_rows - stay.num_rows
            writer.write_batch(stay)
    return rows, gone
