"""The bytes of a CSV file on their way to Arrow: unpacked, its header read, and watched for what is no CSV text."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from typing import Any

from service.lifecycle.data.dialect import layout_of
from service.lifecycle.data.source import SourceError

HEAD = 1 << 20
"""Bytes in which a CSV file's header must end."""


class Unpacked(io.RawIOBase):
    """An unpacked gzip file. Raises SourceError where it is broken."""

    def __init__(self, origin: str, file: gzip.GzipFile) -> None:
        self._origin, self._file = origin, file

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes."""
        try:
            return self._file.read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{self._origin}: is a broken gzip file ({error}); fetch it again") from error

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Going back unpacks again from the start."""
        return self._file.seek(offset, whence)


class CsvBytes(io.RawIOBase):
    """A CSV file's bytes on their way to Arrow, which would let through a NUL, or a quote that swallows the rest."""

    def __init__(self, origin: str, file: Any) -> None:
        self._origin, self._file, self.quotes = origin, file, 0

    def header(self, delimiter: str | None) -> tuple[str, list[str]]:
        """The delimiter, told from the first rows unless given, and the names of the columns."""
        head = self._file.read(HEAD)
        start = 3 if head.startswith(b"\xef\xbb\xbf") else 0
        if not head.strip():
            raise SourceError(f"{self._origin}: is empty")
        if b"\0" in head and (fault := self.fault()):
            raise SourceError(fault)
        text = head[start:].decode(errors="replace")
        layout = layout_of(self._origin, text, delimiter)
        delimiter, names = layout.delimiter, layout.header
        if "" in names:
            raise SourceError(
                f"{self._origin}, row 1: column {names.index('') + 1} has no name; name it or take it out"
            )
        self._file.seek(start)
        return delimiter, names

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes. Raises SourceError where a NUL is among them."""
        data: bytes = self._file.read(size)
        if b"\0" in data:
            raise SourceError(self.fault() or f"{self._origin}: holds a NUL byte")
        self.quotes += data.count(b'"')
        return data

    def readable(self) -> bool:
        """Yes."""
        return True

    def fault(self) -> str | None:
        """Where a byte stands that CSV text cannot hold, and what to do; None where there is none."""
        for number, line in enumerate(self._lines(), 1):
            if b"\0" in line:
                return f"{self._origin}, row {number}: holds a NUL byte, so it is no CSV text; export it as UTF-8 CSV"
            try:
                line.decode()
            except UnicodeDecodeError:
                return (
                    f"{self._origin}, row {number}: is not UTF-8; convert it, for instance: "
                    "iconv -f WINDOWS-1252 -t UTF-8 < in > out"
                )
        return None

    def never_closed(self, delimiter: str) -> int | None:
        """The row in which a quote is opened that no other closes; marks within plain cells are none."""
        rows = 0
        lines = (line.decode(errors="replace") for line in self._lines())
        try:
            for _ in csv.reader(lines, delimiter=delimiter, strict=True):
                rows += 1
        except csv.Error as error:
            return rows + 1 if "unexpected end of data" in str(error) else None
        return None

    def _lines(self) -> Iterator[bytes]:
        self._file.seek(0)
        rest = b""
        while data := self._file.read(HEAD):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield line + b"\n"
        if rest:
            yield rest
