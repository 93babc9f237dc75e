"""A CSV or Parquet file as a table of raw cells, gzip or not, or a SourceError that names the row at fault.

The kind of file is told by its first bytes, never by its name.
"""

import csv
import gzip
import hashlib
import io
import zlib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from service.lifecycle.data.source import SourceError
from service.storage import StorageError, open_storage

DELIMITERS = ",;\t|"
SNIFFED_ROWS = 20


@dataclass(frozen=True)
class Table:
    """Raw cells. CSV cells are text as written, and empty ones are ""; Parquet cells have their own types."""

    origin: str
    cells: pa.Table
    first_row: int
    sha256: str

    def row(self, index: int) -> int:
        """The row's number as a person counts: in a CSV file the header is row 1."""
        return self.first_row + index


def read_table(location: Path | str, delimiter: str | None = None) -> Table:
    """Read a whole file or `gs://bucket/object`. Raises SourceError."""
    return parse_table(str(location), _stored(str(location)), delimiter)


def parse_table(path: str, stored: bytes, delimiter: str | None = None) -> Table:
    """The table in these bytes, as stored at `path`; the delimiter is told from the header unless given.

    Raises SourceError.
    """
    data = stored
    if stored.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(stored)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{path}: is a broken gzip file ({error}); fetch it again") from error
    first_row, read = (1, _read_parquet) if data.startswith(b"PAR1") else (2, _read_csv)
    cells = read(path, data, delimiter)
    if cells.num_rows == 0:
        raise SourceError(f"{path}: holds no leads")
    if twice := sorted({n for n in cells.column_names if cells.column_names.count(n) > 1}):
        raise SourceError(f"{path}: the column {twice[0]!r} is there twice; rename one")
    return Table(path, cells, first_row, hashlib.sha256(stored).hexdigest())


def _stored(location: str) -> bytes:
    folder, _, name = location.rpartition("/") if location.startswith("gs://") else ("", "", "")
    try:
        if not folder:
            return Path(location).read_bytes()
        found = open_storage(folder).read(name)
    except OSError as error:
        raise SourceError(f"{location}: cannot be read: {error.strerror}") from error
    except (StorageError, ValueError) as error:
        raise SourceError(f"{location}: {error}") from error
    if found is None:
        raise SourceError(f"{location}: there is no such object")
    return found.data


def _read_parquet(path: str, data: bytes, _: str | None) -> pa.Table:
    try:
        return parquet.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path}: is a broken Parquet file: {error}") from error


def _read_csv(path: str, data: bytes, delimiter: str | None) -> pa.Table:
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise SourceError(f"{path}: is empty")
    if (at := data.find(b"\0")) >= 0:
        row = data.count(b"\n", 0, at) + 1
        raise SourceError(f"{path}, row {row}: holds a NUL byte, so it is no CSV text; export it again as UTF-8 CSV")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise SourceError(
            f"{path}, row {row}: is not UTF-8; convert it, for instance: iconv -f WINDOWS-1252 -t UTF-8 < in > out"
        ) from error
    delimiter = delimiter or sniff(path, text)
    header = header_of(text, delimiter)
    if "" in header:
        raise SourceError(f"{path}, row 1: column {header.index('') + 1} has no name; name it or take it out")
    ragged: list[arrow_csv.InvalidRow] = []

    def keep(row: arrow_csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            # One block and one thread: rows keep their numbers, and a quoted text may be as long as it likes.
            arrow_csv.ReadOptions(use_threads=False, block_size=max(1 << 20, len(data))),
            arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=keep),
            arrow_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowException as error:
        raise SourceError(f"{path}: is no CSV file with the delimiter {delimiter!r}: {error}") from error
    if ragged:
        row, expected, actual = ragged[0].number, ragged[0].expected_columns, ragged[0].actual_columns
        raise SourceError(
            f"{path}, row {row}: has {actual} cells where the header has {expected} "
            f"(delimiter {delimiter!r}; a cell that holds it must be quoted)"
        )
    # A quote that never ends swallows the rest of the file into the last cell.
    if table.num_rows and "\n" in table.columns[-1][-1].as_py() and not data.rstrip().endswith(b'"'):
        raise SourceError(f"{path}, row {table.num_rows + 1}: a quote is opened and never closed")
    return table


def header_of(text: str, delimiter: str) -> list[str]:
    """Names of the columns in a CSV text's first row; none where its quotes make no sense."""
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:  # a quote that never ends
        return []


def sniff(path: str, text: str) -> str:
    """The delimiter that cuts all of the first rows like the header, if any does; else the header's commonest.

    Raises SourceError where there is none.
    """

    def quality(delimiter: str) -> tuple[bool, int]:
        width = len(header_of(text, delimiter))
        try:
            rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            regular = all(len(row) == width for row in islice(filter(None, rows), SNIFFED_ROWS))
        except csv.Error:
            regular = False
        return width > 1 and regular, width

    best = max(DELIMITERS, key=quality)
    if quality(best)[1] < 2:
        raise SourceError(
            f"{path}, row 1: is one column; if the delimiter is none of , ; tab | name it: delimiter = ..."
        )
    return best
