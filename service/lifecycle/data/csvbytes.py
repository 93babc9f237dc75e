"""The bytes of a CSV file on their way to Arrow: unpacked, its header read, and watched for what is no CSV text."""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import deque
from collections.abc import Iterator
from typing import Any

from service.lifecycle.data.source import SourceError
from service.reading.decoding import as_utf8, encoding_of, kind_of_file, whole_lines
from service.reading.dialect import Layout, layout_of
from service.reading.rows import LAST_ROWS, below_the_table

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


class Transcoded(io.RawIOBase):
    """A text in another encoding, in UTF-8. Raises SourceError where it is no such text."""

    def __init__(self, origin: str, file: Any, encoding: str) -> None:
        self._origin, self._file, self._encoding = origin, file, encoding
        self._rest = b""
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes."""
        while size < 0 or len(self._rest) < size:
            data = self._file.read(HEAD)
            try:
                text = self._decoder.decode(data, final=not data)
            except UnicodeError as error:
                raise SourceError(f"{self._origin}: is no {self._encoding} text: {error}") from error
            self._rest += text.removeprefix("\ufeff").encode()
            if not data:
                break
        size = len(self._rest) if size < 0 else size
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def seek(self, offset: int, _whence: int = io.SEEK_SET) -> int:
        """Going back reads again from the start."""
        self._file.seek(0)
        self._decoder.reset()
        self._rest = b""
        while offset > 0 and (skipped := len(self.read(min(offset, HEAD)))):
            offset -= skipped
        return offset


class CsvBytes(io.RawIOBase):
    """A CSV file's text in UTF-8 on its way to Arrow, which would let through a NUL, or a quote that swallows the rest.

    The first HEAD bytes tell the encoding and where the table begins; `ends` says that it has no rows, `marked` that
    they are more than ASCII. `stated` is the encoding that a person named. Rows begin at byte `starts`. `above` is the
    number of rows of the file before what is read: 0, but in a part of a file.
    """

    def __init__(self, origin: str, file: Any, stated: str | None = None) -> None:
        self._origin, self._file, self.quotes, self.encoding = origin, file, 0, stated
        self.ends = self.marked = False
        self.starts = self.above = 0

    def layout(self, delimiter: str | None) -> Layout:
        """How the text is cut, the delimiter told from the first rows unless given; reading goes on below the header.

        Raises SourceError.
        """
        head = self._file.read(HEAD)
        if not head.strip():
            raise SourceError(f"{self._origin}: is empty")
        if other := kind_of_file(head):
            raise SourceError(f"{self._origin}: is {other}")
        self.encoding = self.encoding or encoding_of(head)
        if self.encoding is None and b"\0" in head and (fault := self.fault()):
            raise SourceError(fault)
        start = 3 if head.startswith(codecs.BOM_UTF8) else 0
        if self.encoding is None and as_utf8(self._origin, whole_lines(head, HEAD))[1] != "UTF-8":
            self.encoding = "cp1252"
        if self.encoding is not None:
            self._file = Transcoded(self._origin, self._file, self.encoding)
            self._file.seek(0)
            head, start = self._file.read(HEAD), 0
        text = head[start:].decode(errors="replace")
        self.marked = start > 0 or isinstance(self._file, Transcoded) or not head.isascii()
        layout = layout_of(self._origin, text, delimiter)
        below = text[layout.start :]
        self.ends = len(head) < HEAD and not below.strip()
        self.starts = start + len(text[: layout.start].encode())
        self._file.seek(self.starts)
        return layout

    def only(self, part: Any, above: int) -> None:
        """Read this file of a part's bytes instead of the whole; so many rows of the file lie before it."""
        self._file, self.above = part, above

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
        for number, line in enumerate(self._lines(), self.above + 1):
            if b"\0" in line:
                return f"{self._origin}, row {number}: holds a NUL byte, so it is no CSV text; export it as UTF-8 CSV"
            try:
                line.decode()
            except UnicodeDecodeError:
                return (
                    f'{self._origin}, row {number}: is not UTF-8; name its encoding: encoding = "cp1252" in the source'
                )
        return None

    def never_closed(self, delimiter: str) -> int | None:
        """The row in which a quote is opened that no other closes; marks within plain cells are none."""
        rows = self.above
        lines = (line.decode(errors="replace") for line in self._lines())
        try:
            for _ in csv.reader(lines, delimiter=delimiter, strict=True):
                rows += 1
        except csv.Error as error:
            return rows + 1 if "unexpected end of data" in str(error) else None
        return None

    def below_the_table(self, delimiter: str, width: int, header: int) -> frozenset[int]:
        """The rows at the end that are no leads, as training tells them from all of their cells: reads all again.

        `header` is the header's row, below which leads begin.
        """
        texts = (line.decode(errors="replace") for line in self._lines())
        lines = (line for text in texts for line in re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", text))
        last: deque[tuple[int, list[str]]] = deque(maxlen=LAST_ROWS)
        for row, cells in enumerate(csv.reader(lines, delimiter=delimiter), self.above + 1):
            if row > header and len(cells) == width and any(map(str.strip, cells)):
                last.append((row, cells))
        count = below_the_table([cells for _, cells in last])
        return frozenset(row for row, _ in list(last)[len(last) - count :])

    def _lines(self) -> Iterator[bytes]:
        self._file.seek(0)
        rest = b""
        while data := self._file.read(HEAD):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield line + b"\n"
        if rest:
            yield rest
