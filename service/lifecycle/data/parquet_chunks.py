"""Where the column chunks of a Parquet file lie, in the order in which its batches of rows are read."""

from collections.abc import Collection, Iterable

from pyarrow import parquet

from service.read_ahead import Range

TOGETHER = 16 << 20
"""Bytes of a row group's columns up to which they are fetched one after the other, as they lie in the file."""

STEP = 1 << 20
"""Bytes of a column that are fetched at once where the columns of a row group are many more than can be kept."""


def chunks(metadata: parquet.FileMetaData, groups: Iterable[int], columns: Collection[str]) -> list[Range]:
    """The bytes of these columns, row group by row group."""
    ranges: list[Range] = []
    for place in groups:
        group = metadata.row_group(place)
        found = (group.column(i) for i in range(group.num_columns))
        here = sorted(_range(chunk) for chunk in found if chunk.path_in_schema in columns)
        ranges += here if sum(stop - start for start, stop in here) <= TOGETHER else _interleaved(here)
    return [(start, stop) for start, stop in ranges if start < stop]


def _range(chunk: parquet.ColumnChunkMetaData) -> Range:
    start = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < start:
        start = chunk.dictionary_page_offset
    return start, start + chunk.total_compressed_size


def _interleaved(ranges: Iterable[Range]) -> list[Range]:
    """Steps of each column, in the order of the rows: those at the same share of their columns together."""
    steps = [
        ((at - start) / (stop - start), (at, min(at + STEP, stop)))
        for start, stop in ranges
        for at in range(start, stop, STEP)
    ]
    return [step for _, step in sorted(steps)]
