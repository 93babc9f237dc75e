"""Finds a lead's values in files, however they are encoded or packed."""

import base64
import binascii
import gzip
import io
import itertools
import json
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

Secret = str | float
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{64,}={0,2}")


def found(secrets: list[Secret], data: bytes, where: str) -> Iterator[str]:
    """Which of the secrets the data hold, and where: text in any case, numbers as text and as floats of 4 or 8 bytes.

    What is packed (gzip, zip with npz and skops, base64) is unpacked first. Compressed bytes, and the pixels of
    pictures, hold four given bytes by chance.
    """
    unpacked = list(_unpacked(data))
    for secret in secrets:
        for part, compressed in unpacked:
            if any(needle in part for needle in _needles(secret, compressed)):
                yield f"{where} holds {secret!r}"
                break


def found_below(secrets: list[Secret], *folders: Path) -> list[str]:
    """The same for all files below the folders, and their names. Fails where there is no file at all."""
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    assert files, f"no files below {folders}"
    return [hit for path in files for hit in found(secrets, path.read_bytes() + str(path).encode(), str(path))]


def _unpacked(data: bytes) -> Iterator[tuple[bytes, bool]]:
    """The data, and all that is packed in them; and whether a part is compressed."""
    packed: list[bytes] = []
    if data.startswith(b"\x1f\x8b"):
        packed.append(gzip.decompress(data))
    elif data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            packed += [archive.read(name) for name in archive.namelist()]
    yield data.lower() + data, bool(packed) or data.startswith(b"\x89PNG")
    for run in _BASE64.findall(data):
        try:
            packed.append(base64.b64decode(run, validate=True))
        except binascii.Error:
            continue
    for part in packed:
        yield from _unpacked(part)


def _needles(secret: Secret, compressed: bool) -> Iterator[bytes]:
    if isinstance(secret, str):
        texts = {secret, secret.lower(), json.dumps(secret)[1:-1].lower()}
        yield from (text.encode(how) for text, how in itertools.product(texts, ("utf-8", "utf-16-le", "utf-16-be")))
        return
    texts = {f"{secret!r}", f"{secret:,}", f"{secret:,}".translate(str.maketrans(",.", ".,"))}
    yield from (text.encode() for text in texts)
    if not compressed:
        yield from (struct.pack(form, secret) for form in ("<d", ">d", "<f", ">f"))
