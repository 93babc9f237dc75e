"""The scored rows of a file, kept in a temporary file until all are there and its list of contacts can be made.

So a file that is decided by rank is read and scored once. Its rows and records lie uncompressed in the job's temporary
directory, in Arrow's stream format, whose dictionaries may differ from batch to batch. In memory are 9 bytes of each
lead, and 40 for a moment.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Self

import numpy as np
import pyarrow as pa

from service.model.bundle import Manifest
from service.model.decide import Chosen, ContactList, contact_list
from service.model.trees import Matrix


class KeptRows:
    """Keeps batches of rows. Its files have no names, so that they end with it or with the process."""

    def __init__(self) -> None:
        self._closing = ExitStack()
        self._rows, self._records = (_Kept(self._closing) for _ in range(2))
        self._scores: list[Matrix] = [np.empty(0)]
        self._drawn: list[Chosen] = [np.zeros(0, dtype=bool)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def put(self, rows: pa.RecordBatch, records: pa.RecordBatch | None, scores: Matrix, drawn: Chosen) -> None:
        """Keep a batch: its rows of the output, and of its scored leads the records, scores, and which are drawn."""
        self._rows.put(rows)
        if records is not None:
            self._records.put(records)
        self._scores.append(scores)
        self._drawn.append(drawn)

    def decided(self, manifest: Manifest) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch | None, ContactList]]:
        """The batches' rows and records, in order, each with its part of the list of contacts that all make."""
        scores, drawn = np.concatenate(self._scores), np.concatenate(self._drawn)
        contacts = contact_list(scores, drawn, manifest.threshold, manifest.economics)
        records, start = self._records.batches(), 0
        for rows, batch in zip(self._rows.batches(), self._scores[1:], strict=True):
            scored = len(batch)
            yield rows, next(records, None) if scored else None, contacts.part(start, scored)
            start += scored


class _Kept:
    """Record batches of one schema in a temporary file."""

    def __init__(self, closing: ExitStack) -> None:
        self._closing = closing
        self._file: Any = None
        self._writer: Any = None

    def put(self, batch: pa.RecordBatch) -> None:
        if self._writer is None:
            self._file = self._closing.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed by the stack
            self._writer = pa.ipc.new_stream(self._file, batch.schema)
        self._writer.write_batch(batch)

    def batches(self) -> Iterator[pa.RecordBatch]:
        if self._writer is not None:
            self._writer.close()
            self._file.seek(0)
            yield from pa.ipc.open_stream(self._file)
