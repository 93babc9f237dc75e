"""The text of a file in UTF-8, whatever it was saved in, or a SourceError that says what the file really is.

The standard library decodes. The encoding is found by byte order marks, by zeros in every other byte, and else by
trying UTF-8, then Windows-1252, which is refused where it gives words that no language has.
"""

import codecs
import re

from service.reading.error import SourceError

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document; export the leads as CSV"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
    (b"BZh", "a bzip2 file; unpack it"),
    (b"\xfd7zXZ", "an xz file; unpack it"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file; unpack it"),
    (b"SQLite format 3", "an SQLite database; export the table as CSV"),
    (b"\x89PNG", "a picture; export the leads as CSV"),
    (b"\xff\xd8\xff", "a picture; export the leads as CSV"),
    (b"ARROW1", "an Arrow file; write it as Parquet"),
    (b"Obj\x01", "an Avro file; write it as Parquet"),
    (b"ORC", "an ORC file; write it as Parquet"),
    (b"{\\rtf", "an RTF document; export the leads as CSV"),
    (b"{", "JSON; export the leads as CSV"),
    (b"[{", "JSON; export the leads as CSV"),
    (b"<!doctype", "an HTML page; it may be a page to sign in: fetch the export again"),
    (b"<html", "an HTML page; it may be a page to sign in: fetch the export again"),
    (b"<?xml", "XML; export the leads as CSV"),
)
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NAMES = {"utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "utf-32": "UTF-32", "cp1252": "Windows-1252"}

_AMID_LETTERS = re.compile(r"[A-Za-z]([^\x00-\x7f])[a-z]")
_MANY_ACCENTS = re.compile(r"[\u00c0-\u00ff]{4,}")
"""Four such letters in a row are what Windows-1252 makes of Cyrillic or Greek."""
_JOINS_LETTERS = "\u2019\u00b4\u00b7\u00ad\u2013"


def kind_of_file(start: bytes) -> str | None:
    """What a file that begins so is and what to do with it; None where it may be CSV text."""
    head = start.removeprefix(codecs.BOM_UTF8).lstrip()[:64]
    return next((name for magic, name in _MAGIC if head.lower().startswith(magic.lower())), None)


def encoding_of(start: bytes) -> str | None:
    """The encoding that a file's first bytes show by a mark or by zeros in every other byte; None for all others."""
    if marked := next((name for bom, name in _BOMS if start.startswith(bom)), None):
        return marked
    sample = start[:4096]
    pairs = len(sample) // 2
    if pairs >= 2 and sample[1::2].count(0) > 0.7 * pairs and sample[::2].count(0) == 0:
        return "utf-16-le"
    if pairs >= 2 and sample[::2].count(0) > 0.7 * pairs and sample[1::2].count(0) == 0:
        return "utf-16-be"
    return None


def whole_lines(head: bytes, most: int) -> bytes:
    """The beginning of a file of which at most so many bytes were read, without a last line that may be cut.

    A cut within a character would not be UTF-8.
    """
    return head if len(head) < most else head[: max(head.rfind(b"\n"), head.rfind(b"\r")) + 1]


def as_utf8(path: str, data: bytes, stated: str | None = None) -> tuple[bytes, str]:
    """The file in UTF-8 without a mark, and the encoding that it was in. Raises SourceError."""
    encoding = stated or encoding_of(data)
    if encoding is None:
        if (at := data.find(b"\0")) >= 0:
            row = data.count(b"\n", 0, at) + 1
            raise SourceError(
                f"{path}, row {row}: holds a NUL byte, so it is no CSV text; export it again as UTF-8 CSV"
            )
        plain = data.removeprefix(codecs.BOM_UTF8)
        try:
            plain.decode()
        except UnicodeDecodeError as error:
            return _windows(path, plain, error), NAMES["cp1252"]
        return plain, "UTF-8"
    try:
        return data.decode(encoding).removeprefix("\ufeff").encode(), NAMES.get(encoding, encoding)
    except (UnicodeError, LookupError) as error:
        name = NAMES.get(encoding, encoding)
        raise SourceError(f"{path}: is not whole {name} text ({error}); export it again as UTF-8 CSV") from error


def _windows(path: str, data: bytes, error: UnicodeDecodeError) -> bytes:
    """The text in Windows-1252. Raises SourceError where its letters are none of a Western European language."""
    row = data.count(b"\n", 0, error.start) + 1
    remedy = 'name its encoding, such as encoding = "cp1250", or export it as UTF-8'
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError as other:
        row = data.count(b"\n", 0, other.start) + 1
        raise SourceError(f"{path}, row {row}: is neither UTF-8 nor Windows-1252 text; {remedy}") from error
    if odd := _unlikely(text):
        row = text.count("\n", 0, odd.start()) + 1
        raise SourceError(
            f"{path}, row {row}: is not UTF-8, and as Windows-1252 it would hold {odd[0]!r} in a word; {remedy}"
        )
    return text.encode()


def _unlikely(text: str) -> re.Match[str] | None:
    """Where the text holds signs or capitals between small letters; None where it does not.

    That is what Windows-1252 makes of words in cp1250, cp850, Mac Roman, Cyrillic or Greek.
    """
    for found in _AMID_LETTERS.finditer(text):
        mark = found[1]
        if mark not in _JOINS_LETTERS and not (mark.isalpha() and (mark.islower() or found[0][0].isupper())):
            return found
    return _MANY_ACCENTS.search(text)
