"""A column of ids, a batch at a time: what `as_id` makes of each, and which are words for a sum.

Quick looks at the bytes rule out that any id must be changed, which is so in most batches.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.lifecycle.relations.lead_keys import as_ids, may_change, text_bytes
from service.lifecycle.scoring.cells import Mask, is_blank, is_text
from service.model.schema import MAX_ID
from service.reading.cells import as_text
from service.reading.rows import TOTALS

_TOTALS = pa.array(TOTALS)


def read_ids(array: pa.Array) -> tuple[pa.Array, Mask]:
    """The ids as text, and which rows have none that can be used."""
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if is_text(array.type) or pa.types.is_integer(array.type):
        ids = array.cast(pa.string())
        ends, data = text_bytes(ids)
        if not ids.null_count and not may_change(data):
            length = np.diff(ends)  # one byte a character
            return ids, (length == 0) | (length > MAX_ID)
        ids = as_ids(ids)
    else:
        ids = pa.array([None if is_blank(v) else as_text(v) for v in array.to_pylist()], pa.string())
    length = pc.utf8_length(pc.utf8_trim_whitespace(ids))
    usable = pc.and_(pc.greater(length, 0), pc.less_equal(pc.utf8_length(ids), MAX_ID)).fill_null(False)
    return ids, ~usable.to_numpy(zero_copy_only=False)


def totals(ids: pa.Array) -> Mask | None:
    """Which ids are words for a sum; None where none is.

    First and last letters, then lengths, rule out most batches at less cost than a comparison of whole texts.
    """
    ends, data = text_bytes(ids)
    if not len(data):
        return None
    likely = _FIRST_OF_TOTALS[data.take(ends[:-1], mode="clip")]
    likely &= _LAST_OF_TOTALS[data.take(ends[1:] - 1, mode="clip")]
    if not likely.any() or not (np.diff(ends)[likely] <= _LONGEST_TOTAL).any():
        return None
    found: Mask = pc.is_in(ids, _TOTALS).to_numpy(zero_copy_only=False)
    return found if found.any() else None


def _is_one_of(letters: set[str]) -> Mask:
    """For each byte, whether it is one of these letters."""
    return np.isin(np.arange(256), [ord(letter) for letter in letters])


_FIRST_OF_TOTALS = _is_one_of({word[0] for word in TOTALS})
_LONGEST_TOTAL = max(map(len, TOTALS))
_LAST_OF_TOTALS = _is_one_of({word[-1] for word in TOTALS})
