"""A lead's key, by which its records, scores and outcomes are joined, and the part of the tables that holds it."""

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from service.reading.ids import CHECK_CHARACTERS, as_id

PARTS = "0123456789abcdef"
"""The parts of the tables."""

SALESFORCE = 18
"""Characters of Salesforce's long ids."""

_KEPT = bytes(byte for byte in range(ord("!"), ord("~") + 1) if byte not in b"=.'")
"""An id of these characters alone is what `as_id` makes of it."""


def lead_keys(ids: pa.Array) -> pa.Array:
    """`service.reading.ids.join_key` of each id, for a column of texts; "" for null."""
    texts = as_ids(ids.cast(pa.string()).fill_null(""))
    ends, _ = text_bytes(texts)
    if not (np.diff(ends) == SALESFORCE).any():
        return texts
    long = pc.match_substring_regex(texts, "^[A-Za-z0-9]{15}[A-Z0-5]{3}$")
    if not pc.any(long).as_py():
        return texts
    of_salesforce = texts.filter(long)
    _, data = text_bytes(of_salesforce)
    characters = data.reshape(-1, 18)
    capitals = (characters[:, :15] >= ord("A")) & (characters[:, :15] <= ord("Z"))
    sums = capitals.reshape(-1, 3, 5) @ np.array([1, 2, 4, 8, 16])
    checked = (np.frombuffer(CHECK_CHARACTERS.encode(), np.uint8)[sums] == characters[:, 15:]).all(axis=1)
    short = pc.if_else(pa.array(checked), pc.utf8_slice_codeunits(of_salesforce, 0, 15), of_salesforce)
    return pc.replace_with_mask(texts, long, short)


def as_ids(ids: pa.Array) -> pa.Array:
    """A column of texts as `as_id` writes them, which is asked about those that it may change only."""
    if not may_change(text_bytes(ids)[1]):
        return ids
    odd = pc.match_substring_regex(ids, r"""^ | $|  |[^ -~]|="|\.0|^'""").fill_null(False)
    if not pc.any(odd).as_py():
        return ids
    return pc.replace_with_mask(ids, odd, pa.array([as_id(text) for text in ids.filter(odd).to_pylist()], pa.string()))


def may_change(data: npt.NDArray[np.uint8]) -> bool:
    """Whether `as_id` may write one of the ids with these bytes otherwise: a quick look that may say yes too often."""
    rest = data.tobytes().translate(None, _KEPT)
    if not rest.strip(b"=."):
        before, after = data[:-1], data[1:]
        pairs = ((before == ord(mark)) & (after == ord(follows)) for mark, follows in ('="', ".0"))
        return bool(rest) and any(found.any() for found in pairs)
    return True


def text_bytes(texts: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """The bytes of all texts, and where in them each text ends, after a 0 for the first one's start."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return ends - ends[0], np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]]


def part_of(lead_key: str) -> str:
    """The part that holds a lead: the first digit of its key's MD5; in SQL `substr(md5(lead_key), 1, 1)`."""
    return hashlib.md5(lead_key.encode(), usedforsecurity=False).hexdigest()[0]


def parts_of(lead_keys: Iterable[str]) -> npt.NDArray[np.uint8]:
    """The index in PARTS of each key's part."""
    digests = (hashlib.md5(key.encode(), usedforsecurity=False).digest()[0] >> 4 for key in lead_keys)
    return np.fromiter(digests, np.uint8)
