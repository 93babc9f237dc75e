"""Removes leads from one object: CSV, Parquet, JSON lines or a workbook, gzip or not, told by its content."""

import gzip
import io
from contextlib import ExitStack
from typing import IO, Any

from service.lifecycle.data import workbook
from service.lifecycle.forgetting.csv_rows import without_csv_rows
from service.lifecycle.forgetting.json_rows import without_lines
from service.lifecycle.forgetting.parquet_rows import without_parquet_rows
from service.lifecycle.forgetting.search import Search, Tally
from service.lifecycle.forgetting.workbook_rows import without_workbook_rows
from service.storage import Opened

READ = 1 << 20
"""Bytes read at once."""

GZIP = b"\x1f\x8b"


class _Nowhere(io.RawIOBase):
    """Takes what is written, and keeps nothing."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(data)


def without(origin: str, opened: Opened, kept: IO[bytes] | None, search: Search) -> Tally:
    """Copy the object without the leads, in its own form, to `kept`, or only count.

    An empty object has no rows. Raises SourceError, and whatever reading a broken object raises.
    """
    with ExitStack() as closing:
        plain: Any = closing.enter_context(io.BufferedReader(opened.file, READ))
        out: Any = kept or _Nowhere()
        if plain.peek(2)[:2] == GZIP:
            plain = closing.enter_context(gzip.GzipFile(fileobj=plain))
            if kept:
                out = closing.enter_context(gzip.GzipFile(fileobj=kept, mode="wb", compresslevel=6, mtime=0))
        start = plain.read(4)
        plain.seek(0)
        if start == b"PAR1":
            return without_parquet_rows(origin, plain, out if kept else None, search)
        if start.startswith((workbook.ZIP, workbook.OLE[:4])):
            return without_workbook_rows(origin, plain.read(), out, search)
        if start[:1] == b"{":
            return without_lines(origin, plain, out, search)
        return without_csv_rows(origin, plain, out, search)
