"""The rows of a CSV file in batches: numbered as in a spreadsheet, without blank rows, totals and footers."""

from collections import deque
from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from service.lifecycle.data.csvbytes import CsvBytes
from service.lifecycle.data.source import SourceError
from service.reading.rows import LAST_ROWS, may_be_below_the_table

ROWS = 16_384
"""Rows of a batch. Their matrix stays near the processor's caches; larger ones are scored more slowly."""

BLOCK = 2 << 20
"""Bytes that are cut at once, some ten thousand rows; no single row may be longer."""


class Ragged(NamedTuple):
    """A CSV row that is not cut like the header or lies below the table, by its number; the header is row 1.

    `lead` is False for totals and other lines that are no leads.
    """

    row: int
    reason: str
    lead: bool = True


class LeadBatch(NamedTuple):
    """Some rows, the number of each as a person counts, and those among them that could not be cut into cells.

    `blank` counts rows that are left out: every cell that was asked for is empty.
    """

    cells: pa.RecordBatch
    rows: range | list[int]
    ragged: list[Ragged]
    blank: int = 0


class CsvTable(NamedTuple):
    """A CSV file, or a part of one, that was opened: its text, and how that is cut.

    `above` is the number of the row above the first lead: the header's. `last` is False for a part that others follow.
    """

    origin: str
    text: CsvBytes
    delimiter: str
    above: int
    columns: list[str]
    last: bool = True

    def batches(self, names: list[str], repeating: Collection[str]) -> Iterator[LeadBatch]:
        """These columns. The last batches are held back until the file's end shows which rows are no leads."""
        if not self.last:
            yield from self._read(names, repeating)
            return
        held: deque[LeadBatch] = deque()
        for batch in self._read(names, repeating):
            held.append(batch)
            while sum(len(each.rows) for each in held) - len(held[0].rows) >= LAST_ROWS:
                yield held.popleft()
        last = next((each.cells.slice(len(each.rows) - 1) for each in reversed(held) if len(each.rows)), None)
        footers: frozenset[int] = frozenset()
        if last is not None and may_be_below_the_table([column[0].as_py() for column in last.columns]):
            footers = self.text.below_the_table(self.delimiter, len(self.columns), self.above)
        for batch in held:
            yield _leaving_out(batch, footers)

    def _read(self, names: list[str], repeating: Collection[str]) -> Iterator[LeadBatch]:
        if self.text.ends:
            return
        ragged: list[Ragged] = []

        def keep(row: arrow_csv.InvalidRow) -> str:
            reason = f"has {row.actual_columns} cells where the header has {row.expected_columns}"
            hint = f"(delimiter {self.delimiter!r}; a cell with it must be quoted)"
            ragged.append(Ragged(self.above + row.number, f"{reason} {hint}"))
            return "skip"

        coded = pa.dictionary(pa.int32(), pa.string())
        try:
            read = arrow_csv.open_csv(
                pa.PythonFile(self.text, "r"),
                # One thread, or rows would have no numbers.
                arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK, column_names=self.columns),
                arrow_csv.ParseOptions(
                    delimiter=self.delimiter,
                    newlines_in_values=True,
                    invalid_row_handler=keep,
                    ignore_empty_lines=False,  # or rows would have other numbers than in a spreadsheet
                ),
                arrow_csv.ConvertOptions(
                    column_types={name: coded if name in repeating else pa.string() for name in names},
                    include_columns=names,
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
            row = self.above + 1
            while (cells := next(read, None)) is not None:
                # Whatever was read ahead stays for the batch that it belongs to.
                rows, passed, row = _numbered(row, cells.num_rows, ragged)
                del ragged[: len(passed)]
                cells, rows, blank = _filled(cells, rows)
                for start in range(0, max(1, len(rows)), ROWS):
                    after = rows[start + ROWS] if start + ROWS < len(rows) else row
                    here = [each for each in passed if each.row < after]
                    del passed[: len(here)]
                    yield LeadBatch(cells.slice(start, ROWS), rows[start : start + ROWS], here, blank * (start == 0))
            if ragged:
                yield LeadBatch(
                    pa.RecordBatch.from_pylist([], pa.schema([(n, pa.string()) for n in names])), [], ragged
                )
        except pa.ArrowException as error:
            raise SourceError(self.text.fault() or f"{self.origin}: is no CSV file: {error}") from error
        if self.text.quotes % 2 and (opened := self.text.never_closed(self.delimiter)):
            raise SourceError(f"{self.origin}, row {opened}: a quote is opened and never closed")


def _filled(cells: pa.RecordBatch, rows: range | list[int]) -> tuple[pa.RecordBatch, range | list[int], int]:
    """The rows in which a cell is filled, their numbers, and how many others there are."""
    if not all(column.null_count for column in cells.columns) or not cells.num_columns:
        return cells, rows, 0
    empty = np.logical_and.reduce([column.is_null().to_numpy(zero_copy_only=False) for column in cells.columns])
    if not empty.any():
        return cells, rows, 0
    kept = np.flatnonzero(~empty)
    return cells.filter(pa.array(~empty)), np.asarray(rows)[kept].tolist(), int(empty.sum())


def _leaving_out(batch: LeadBatch, footers: frozenset[int]) -> LeadBatch:
    """The batch in which these rows are set aside."""
    kept = [row not in footers for row in batch.rows] if footers else []
    if all(kept):
        return batch
    rows = [row for row, keep in zip(batch.rows, kept, strict=True) if keep]
    reason = "is a total or a line below the table, no lead"
    found = [Ragged(row, reason, lead=False) for row in batch.rows if row in footers]
    return batch._replace(cells=batch.cells.filter(pa.array(kept)), rows=rows, ragged=[*batch.ragged, *found])


def _numbered(row: int, count: int, ragged: list[Ragged]) -> tuple[range | list[int], list[Ragged], int]:
    """Numbers of `count` rows from `row` on, the ragged ones that lie before the last of them, and the next number."""
    if not ragged or ragged[0].row >= row + count:
        return range(row, row + count), [], row + count
    rows: list[int] = []
    passed = 0
    while len(rows) < count:
        if passed < len(ragged) and ragged[passed].row == row:
            passed += 1
        else:
            rows.append(row)
        row += 1
    return rows, ragged[:passed], row
