"""A file of leads to a file of scores: read ahead, encoded and scored on all threads, written in the order of the rows.

What runs at once is bounded, so that memory depends on neither the number of rows nor of files.
"""

import gzip
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from service.lifecycle.data.encoder import Encoder
from service.lifecycle.data.lead_file import LeadBatch, LeadFile
from service.lifecycle.data.quarantine import Rejected
from service.model.bundle import Bundle
from service.model.decide import DECISIONS, Decider
from service.model.engine import Matrix
from service.storage import Writable

Format = Literal["csv", "parquet"]
OPEN_ROWS = 131_072
"""Rows that are gathered before they are written: a row group of the output in Parquet."""

_NAME = pa.dictionary(pa.int8(), pa.string())
OUTPUT = pa.schema(
    [
        ("lead_id", pa.string()),
        ("score", pa.float64()),
        ("decision", _NAME),
        ("band", pa.dictionary(pa.int32(), pa.string())),
        ("model_version", _NAME),
    ]
)

Put = Callable[[list[Rejected]], None]


@dataclass
class Counts:
    """What became of a file's rows. `blank` ones are no leads; `examples` are the first that were set aside.

    `unread` counts the cells that could not be read, by column.
    """

    scored: int = 0
    contacts: int = 0
    set_aside: int = 0
    blank: int = 0
    examples: tuple[Rejected, ...] = ()
    unread: Counter[str] = field(default_factory=Counter)

    def add(self, rejected: list[Rejected]) -> None:
        """Count the rows of these lines, of which one row may have several."""
        self.set_aside += len({each.row for each in rejected})
        self.examples = (*self.examples, *rejected)[:5]
        self.unread.update(each.column for each in rejected if each.column)


def score_file(
    leads: LeadFile,
    encoder: Encoder,
    bundle: Bundle,
    out: Writable,
    quarantine: Put,
    form: Format,
    threads: int,
    tell: Callable[[int], None] = lambda _: None,
) -> Counts:
    """Score every lead of the file into `out`; `tell` is called with the rows done so far. Raises SourceError."""
    wanted = {encoder.form.id_column, *encoder.kinds}
    repeating = {name for name, kind in encoder.kinds.items() if kind != "number"} - {encoder.form.id_column}
    counts, done = Counts(), 0
    waiting: deque[Future[tuple[pa.RecordBatch, list[Rejected]]]] = deque()
    written: Future[None] | None = None
    with (
        ThreadPoolExecutor(threads, "score") as pool,
        _writer(out, form) as write,
        ThreadPoolExecutor(1, "write") as writing,  # while more is read
    ):

        def finish() -> int:
            nonlocal written
            scored, rejected = waiting.popleft().result()
            if rejected:
                quarantine(rejected)
                counts.add(rejected)
            counts.scored += scored.num_rows
            counts.contacts += int(np.count_nonzero(scored.column("decision").indices))
            if written:
                written.result()
            written = writing.submit(write, scored)
            return counts.scored + counts.set_aside

        for batch in leads.batches(wanted, repeating):
            counts.blank += batch.blank
            waiting.append(pool.submit(_score, leads.origin, batch, encoder, bundle))
            # Two a thread: one that is being scored, one that is ready when it ends.
            if len(waiting) >= 2 * threads:
                done = finish()
                tell(done)
        while waiting:
            done = finish()
        if written:
            written.result()
        tell(done)
    return counts


@contextmanager
def quarantine_to(opened: Callable[[], AbstractContextManager[Writable]]) -> Iterator[Put]:
    """Writes rejected rows, as `service.lifecycle.data.quarantine` does, to a file opened for the first one."""
    encode = msgspec.json.Encoder().encode_lines
    with ExitStack() as closing:
        lines: gzip.GzipFile | None = None

        def put(rejected: list[Rejected]) -> None:
            nonlocal lines
            if lines is None:
                file = closing.enter_context(opened())
                lines = closing.enter_context(gzip.GzipFile(fileobj=file, mode="wb", mtime=0))
            lines.write(encode(rejected))

        yield put


def decided(decider: Decider, scores: Matrix) -> tuple[pa.DictionaryArray, pa.DictionaryArray]:
    """Decision and band of each score, as columns of OUTPUT."""
    decision, band = decider.places(scores)
    return (
        pa.DictionaryArray.from_arrays(pa.array(decision), pa.array(DECISIONS)),
        pa.DictionaryArray.from_arrays(pa.array(band), pa.array(decider.bands)),
    )


def _score(origin: str, batch: LeadBatch, encoder: Encoder, bundle: Bundle) -> tuple[pa.RecordBatch, list[Rejected]]:
    rejected = [Rejected(file=origin, row=each.row, column="", reason=each.reason) for each in batch.ragged]
    encoded = encoder.encode(batch.cells)
    if encoded.bad:
        named = batch.cells.column(encoder.form.id_column)
        rejected += [
            Rejected(
                file=origin,
                row=batch.rows[bad.place],
                column=bad.column,
                reason=bad.reason,
                lead_id=str(named[bad.place].as_py() or ""),
            )
            for bad in encoded.bad
        ]
    scores = bundle.engine.score_matrix(encoded.matrix) if len(encoded.matrix) else np.empty(0)
    decision, band = decided(Decider(bundle.manifest), scores)
    version = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(scores), np.int8)), pa.array([bundle.version]))
    return pa.RecordBatch.from_arrays([encoded.ids, pa.array(scores), decision, band, version], schema=OUTPUT), rejected


@contextmanager
def _writer(out: Writable, form: Format) -> Iterator[Callable[[pa.RecordBatch], None]]:
    gathered: list[pa.RecordBatch] = []
    if form == "csv":
        plain = pa.schema([(f.name, getattr(f.type, "value_type", f.type)) for f in OUTPUT])
        writer: Any = arrow_csv.CSVWriter(out, plain)
    else:
        plain = OUTPUT
        # Ids and scores hardly repeat: looking for repetitions would cost more than it saves.
        writer = parquet.ParquetWriter(
            out,
            OUTPUT,
            compression="zstd",
            use_dictionary=["decision", "band", "model_version"],
            write_statistics=False,
        )

    def flush() -> None:
        writer.write_table(pa.Table.from_batches(gathered, OUTPUT).cast(plain))
        gathered.clear()

    def write(batch: pa.RecordBatch) -> None:
        gathered.append(batch)
        if sum(len(each) for each in gathered) >= OPEN_ROWS:
            flush()

    try:
        yield write
        flush()
    finally:
        writer.close()
