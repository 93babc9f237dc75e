"""What the page asks about a file before its leads are scored: how it is cut, and where its columns are."""

import codecs
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from service.api.cells import Cell, Columns
from service.api.problem import Problem
from service.model.bundle import Bundle
from service.model.reference import Categories
from service.model.spelling import PLAIN
from service.reading.cells import UnreadableCell, read_cell
from service.reading.decoding import NAMES, as_utf8, encoding_of, kind_of_file, whole_lines
from service.reading.dialect import layout_of
from service.reading.error import SourceError
from service.reading.header import told_apart
from service.reading.rows import LAST_ROWS, below_the_table
from service.reading.unlike import is_unlike, rare_in_training, unlike

HEAD = 1 << 20
"""Bytes of a file's beginning that are looked at."""
SAMPLE = 1_000
"""Rows that are looked at before any is scored."""
MOST_PROBLEMS = 200
_BINARY: tuple[tuple[bytes, str], ...] = (
    (b"PAR1", "a Parquet file; score it with scripts/score, or export it as CSV"),
    (b"PK\x03\x04", "a workbook or a ZIP archive; save the sheet as CSV, or unpack it"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook; save the sheet as CSV"),
)


class FileLayout(msgspec.Struct, frozen=True):
    """How a text file is cut: `encoding` as browsers call it, and `start`, in UTF-16 units, is where its rows begin.

    `row` is the header's row; those above it are left out.
    """

    encoding: str
    encoding_name: str
    delimiter: str
    header: list[str]
    row: int
    start: int


class FileRows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The header, the first rows, and the last filled ones of all columns; `rows` has `columns` alone."""

    columns: Annotated[list[str], msgspec.Meta(min_length=1, max_length=2_000)]
    rows: Annotated[list[list[Cell]], msgspec.Meta(max_length=SAMPLE)]
    last: Annotated[list[list[Cell]], msgspec.Meta(max_length=LAST_ROWS)] = []
    id_column: str | None = None


class FoundProblem(msgspec.Struct, frozen=True):
    """What is wrong with a cell of the rows that were sent: `row` is its place among them."""

    row: int
    column: str
    message: str


class UnlikeColumn(msgspec.Struct, frozen=True):
    """A column of which nearly no cell can be read or was seen in training."""

    column: str
    message: str


class FileCheck(msgspec.Struct, frozen=True):
    """What was found. `below` counts rows at the file's end that are no leads; `decimal` is the file's decimal mark.

    `places` says, by the model's name, where among the columns each is that is there.
    """

    places: dict[str, int]
    absent: list[str]
    id_place: int | None
    below: int
    decimal: str | None
    wrong_rows: int
    problems: list[FoundProblem]
    unlike: list[UnlikeColumn]


def layout(head: bytes) -> FileLayout:
    """How the file that begins so is cut; `head` is its first HEAD bytes. Raises Problem."""
    if not head.strip():
        raise Problem(422, "The file is empty.")
    if other := next((name for magic, name in _BINARY if head.startswith(magic)), None) or kind_of_file(head):
        raise Problem(422, f"The file is {other}.")
    encoding = encoding_of(head)
    try:
        if encoding is None:
            data, name = as_utf8("The file", whole_lines(head, HEAD))
            text, label = data.decode(), "windows-1252" if name == NAMES["cp1252"] else "utf-8"
        elif encoding == "utf-32":
            raise SourceError("The file is UTF-32 text, which browsers do not read; save it as UTF-8")
        else:
            text = codecs.getincrementaldecoder(encoding)().decode(head).removeprefix("\ufeff")
            name = NAMES[encoding]
            label = "utf-16be" if encoding == "utf-16-be" or head.startswith(codecs.BOM_UTF16_BE) else "utf-16le"
        found = layout_of("The file", text, None)
    except (SourceError, UnicodeError) as error:
        raise Problem(422, f"{error}.") from error
    start = len(text[: found.start].encode("utf-16-le")) // 2
    return FileLayout(label, name, found.delimiter, told_apart(found.header), found.row, start)


def check(bundle: Bundle, body: bytes) -> FileCheck:
    """Where the model's columns are, and which of the first rows cannot be read. Raises Problem."""
    try:
        file: FileRows = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(422, f"the file's rows cannot be read: {str(error)[:400]}") from error
    columns = Columns(bundle, file.columns, file.id_column)
    features = bundle.manifest.lead_schema.features
    placed = list(zip(features, columns.places, strict=True))
    marks = {
        (f.spelling or PLAIN).decimal
        for f, place in placed
        if place is not None and f.kind == "number" and not (f.spelling or PLAIN).whole
    }
    problems = [(row, each) for row, cells in enumerate(file.rows) for each in columns.read(cells, "unnamed").problems]
    return FileCheck(
        places={f.name: place for f, place in placed if place is not None},
        absent=[f.name for f, place in placed if place is None],
        id_place=columns.id_place,
        below=below_the_table(file.last),
        decimal="," if "," in marks else "." if marks else None,
        wrong_rows=len({row for row, _ in problems}),
        problems=[FoundProblem(row, each.path, each.message) for row, each in problems[:MOST_PROBLEMS]],
        unlike=list(_unlike(bundle, columns, file.rows)),
    )


def _unlike(bundle: Bundle, columns: Columns, rows: list[list[Cell]]) -> Iterator[UnlikeColumn]:
    """Columns that cannot be the ones that training read. One in which training saw as many new values is left out."""
    features = bundle.manifest.lead_schema.features
    known = {column.name: column.known for column in bundle.reference.features if isinstance(column, Categories)}
    rare = rare_in_training(bundle.reference)
    places = {features[position].name: found for position, found in bundle.engine.places}
    for feature, place in zip(features, columns.places, strict=True):
        if place is None:
            continue
        filled, strange = 0, 0
        for row in rows:
            try:
                value = read_cell(row[place], feature) if len(row) > place else None
            except UnreadableCell:
                filled, strange = filled + 1, strange + 1
                continue
            if value is None:
                continue
            often = known.get(feature.name, frozenset())
            new = isinstance(value, str) and places[feature.name].is_new(value, often)
            filled, strange = filled + 1, strange + new
        if is_unlike(filled, strange, rare.get(feature.name, 0.0)):
            yield UnlikeColumn(feature.name, f"{unlike(filled, strange)}; is it the same column?")


_decode: Any = msgspec.json.Decoder(FileRows).decode
