"""Removes leads from one object: CSV, Parquet or JSON lines, gzip or not, told by its content."""

import codecs
import csv
import gzip
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from service.lifecycle.data import workbook
from service.lifecycle.data.decoding import as_utf8, encoding_of
from service.lifecycle.data.dialect import Layout, layout_of
from service.lifecycle.data.ids import WHOLE, join_key, spellings
from service.lifecycle.data.source import ID_COLUMN, SourceError
from service.model.spelling import fold
from service.storage import Opened, Writable

READ = 1 << 20
"""Bytes read at once, and looked at to tell how a CSV file is written."""

LONGEST = 1 << 24
"""Characters of a CSV cell at most."""

GZIP = b"\x1f\x8b"

_MARKED = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Encodings by the mark that a file begins with. Each keeps the mark as a character, so that it is written again."""

NUMBER_AS_ID = re.compile(rb'"%b"\s*:\s*[-0-9]' % ID_COLUMN.encode())
"""A JSON object whose id is a number, not a text."""

EXACT = {16: 1 << 11, 32: 1 << 24, 64: 1 << 53}
"""From this number on a float of so many bits may stand for several whole numbers."""


@dataclass(frozen=True)
class Search:
    """The leads to be found, the columns that may name them, and delimiter and encoding of CSV files where given."""

    leads: frozenset[str]
    id_columns: tuple[str, ...] = (ID_COLUMN,)
    delimiter: str | None = None
    encoding: str | None = None

    @cached_property
    def ids(self) -> frozenset[str]:
        """The leads as `join_key` writes them."""
        return frozenset(join_key(lead) for lead in self.leads)

    @cached_property
    def spelled(self) -> frozenset[str]:
        """The leads in every spelling that stands for them."""
        return frozenset(text for lead in self.ids for text in spellings(lead))

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Those of the ids that are whole numbers."""
        return tuple(int(lead) for lead in self.ids if WHOLE.match(f"{lead}.0"))

    @cached_property
    def _literal(self) -> tuple[bytes, ...] | None:
        """The ids as JSON holds them; None where one of them may be escaped in several ways."""
        plain = all(re.fullmatch(r"[\w.-]+", lead, re.ASCII) for lead in self.ids)
        return tuple(lead.encode() for lead in self.ids) if plain else None

    def may_be_in(self, line: bytes) -> bool:
        """Whether a line of JSON has to be parsed."""
        if self._literal is None or any(lead in line for lead in self._literal):
            return True
        return bool(self.numbers and NUMBER_AS_ID.search(line))

    def stated_in(self, text: str) -> bool:
        """Whether a text names one of the leads, not just as a part of another word: 1007 is not in "L-1007"."""
        return any(re.search(rf"(?<![\w.-]){re.escape(lead)}(\.0+)?(?![\w-]|\.\w)", text) for lead in self.spelled)

    def holds(self, cells: Sequence[str]) -> bool:
        """Whether one of the cells is the id of one of the leads."""
        return not self.ids.isdisjoint(map(join_key, cells))


def without(origin: str, opened: Opened, kept: IO[bytes], search: Search) -> tuple[int, int]:
    """Copy the object without the leads, in its own form; return how many rows stay and how many are gone.

    An empty object has none of either. Raises SourceError, and whatever reading a broken object raises.
    """
    with ExitStack() as closing:
        plain: Any = closing.enter_context(io.BufferedReader(opened.file, READ))
        out: Any = kept
        if plain.peek(2)[:2] == GZIP:
            plain = closing.enter_context(gzip.GzipFile(fileobj=plain))
            out = closing.enter_context(gzip.GzipFile(fileobj=kept, mode="wb", compresslevel=6, mtime=0))
        start = plain.read(4)
        plain.seek(0)
        if start == b"PAR1":
            return _parquet(origin, plain, out, search)
        if start.startswith((workbook.ZIP, workbook.OLE[:4])):
            raise SourceError(f"{origin}: is a workbook; remove the lead by hand, or replace the file by CSV")
        if start[:1] == b"{":
            return _json_lines(origin, plain, out, search)
        return _csv(origin, plain, out, search)


def _json_lines(origin: str, lines: IO[bytes], out: Writable, search: Search) -> tuple[int, int]:
    rows = gone = 0
    for number, line in enumerate(lines, 1):
        if line.strip() and search.may_be_in(line) and _names(origin, number, line, search):
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
        raise SourceError(f"{origin}, line {number}: is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise SourceError(f"{origin}, line {number}: is not a JSON object")
    if lead := join_key(content.get(ID_COLUMN)):
        return lead in search.ids
    return search.stated_in(str(content.get("content", "")))


def _csv(origin: str, data: IO[bytes], out: Writable, search: Search) -> tuple[int, int]:
    """Rows that stay keep their very bytes. A row that is not cut like the header is found by any of its cells."""
    head = data.read(READ)
    data.seek(0)
    if not head.strip() and len(head) < READ:
        return 0, 0
    encoding = _encoding(origin, head, search)
    layout, at = _layout(origin, head.decode(encoding, errors="replace").removeprefix("\ufeff"), search)
    with io.TextIOWrapper(data, encoding, errors="surrogateescape", newline="") as lines:
        ascii_ids = all(lead.isascii() for lead in search.ids)
        rows = gone = 0
        for row, (record, cells) in enumerate(_records(origin, lines, layout.delimiter), 1):
            cut_alike = row > layout.row and len(cells) == len(layout.header)
            named = [cells[place] for place in at] if cut_alike else cells if row != layout.row else []
            if not ascii_ids and any("\udc80" <= mark <= "\udcff" for cell in named for mark in cell):
                raise SourceError(
                    f"{origin}, row {row}: the id is not UTF-8; convert the file, for instance: "
                    "iconv -f WINDOWS-1252 -t UTF-8 < in > out"
                )
            if search.holds(named):
                gone += 1
                record = "\ufeff" if record.startswith("\ufeff") else ""
            else:
                rows += row > layout.row and any(cell.strip() for cell in cells)
            out.write(record.encode(encoding, errors="surrogateescape"))
        return rows, gone


def _encoding(origin: str, head: bytes, search: Search) -> str:
    """The encoding in which a file that begins so is read, and written again byte for byte, as training tells it.

    A text that is neither UTF-8 nor likely to be another is read as UTF-8 with marks for what it cannot hold.
    """
    if marked := next((name for bom, name in _MARKED if head.startswith(bom)), encoding_of(head)):
        return marked
    whole = head.rpartition(b"\n")[0] if len(head) == READ else head
    try:
        other = as_utf8(origin, whole)[1] != "UTF-8"
    except SourceError:
        other = search.encoding is not None
    return (search.encoding or "cp1252") if other else "utf-8"


def _layout(origin: str, text: str, search: Search) -> tuple[Layout, list[int]]:
    """Where the table begins and the places of its ids: with the delimiter that is given, else with the file's own.

    Scores are written with commas whatever the leads' delimiter is. Raises SourceError where no column holds ids.
    """
    wanted = set(map(fold, search.id_columns))
    for delimiter in dict.fromkeys((search.delimiter, None)):
        layout = layout_of(origin, text, delimiter)
        if at := [place for place, name in enumerate(layout.header) if fold(name) in wanted]:
            return layout, at
    raise SourceError(_no_column(origin, search))


def _records(origin: str, lines: Iterable[str], delimiter: str) -> Iterator[tuple[str, list[str]]]:
    r"""Yield each CSV record as it is written, line end included, and its cells.

    A line ends with \n, \r\n or \r, as in Arrow. A byte that is not UTF-8 is a lone surrogate in its cell (PEP 383).
    """
    csv.field_size_limit(LONGEST)
    taken: list[str] = []
    row = 1

    def feed() -> Iterator[str]:
        for number, line in enumerate(lines):
            taken.append(line)
            yield line.removeprefix("\ufeff") if number == 0 else line
        if taken:  # the reader asks for one line more within a record only while a quote is open
            raise SourceError(f"{origin}, row {row}: a quote is opened and never closed; close or remove it")

    try:
        for cells in csv.reader(feed(), delimiter=delimiter):
            yield "".join(taken), cells
            taken.clear()
            row += 1
    except csv.Error as error:
        raise SourceError(f"{origin}, row {row}: {error}") from error


def _parquet(origin: str, data: IO[bytes], out: Writable, search: Search) -> tuple[int, int]:
    read = parquet.ParquetFile(data, pre_buffer=False)
    at = [column for column in search.id_columns if column in read.schema_arrow.names]
    if not at:
        raise SourceError(_no_column(origin, search))
    rows = gone = 0
    wanted = pa.array([text for lead in sorted(search.spelled) for text in (lead, f'="{lead}"')], pa.string())
    with parquet.ParquetWriter(out, read.schema_arrow, compression="zstd") as writer:
        for part in read.iter_batches():
            there = pa.array([False] * part.num_rows)
            for column in at:
                there = pc.or_(there, pc.is_in(_ids(origin, column, part.column(column), search), wanted))
            stay = part.filter(pc.invert(there))
            rows, gone = rows + stay.num_rows, gone + part.num_rows - stay.num_rows
            writer.write_batch(stay)
    return rows, gone


def _ids(origin: str, name: str, column: pa.Array, search: Search) -> pa.Array:
    """The column's ids as `as_id` writes them. Raises SourceError where floats cannot tell two leads apart."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        exact = EXACT[column.type.bit_width]
        column = column.cast(pa.float64())
        small = pc.less(pc.abs(column), exact)
        if any(abs(number) >= exact for number in search.numbers) and not pc.all(small).as_py():
            raise SourceError(
                f"{origin}: column {name!r} holds ids as floating-point numbers of {exact:,} or more, which may stand "
                "for several ids; write the ids as text"
            )
        whole = pc.if_else(pc.and_(small, pc.equal(pc.floor(column), column)), column, None).cast(pa.int64())
        text = pc.coalesce(whole.cast(pa.string()), column.cast(pa.string()))
    else:
        text = column.cast(pa.string())
    return pc.replace_substring_regex(pc.utf8_trim_whitespace(text), WHOLE.pattern, r"\1")


def _no_column(origin: str, search: Search) -> str:
    return f"{origin}: has no column {' or '.join(map(repr, search.id_columns))}; name it with --id-column"
