"""A file of leads to a file of scores: read ahead, encoded and scored on all threads, written in the order of the rows.

What runs at once is bounded, so that memory depends on neither the number of rows nor of files.
"""

import gzip
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from service.lifecycle.data.csv_batches import LeadBatch
from service.lifecycle.data.file_parts import FilePart
from service.lifecycle.data.form import Form
from service.lifecycle.data.lead_file import LeadFile
from service.lifecycle.data.quarantine import Rejected
from service.lifecycle.relations.lead_keys import lead_keys
from service.lifecycle.scoring.batch_records import Record, rows_of, ruled
from service.lifecycle.scoring.cell_counts import ColumnCounts, check_like_training
from service.lifecycle.scoring.encoder import Encoded, Encoder
from service.lifecycle.scoring.for_people import ForPeople, Wish
from service.lifecycle.scoring.kept_rows import KeptRows
from service.lifecycle.scoring.scores_file import CONTACT, Format, decided, rows_for_programs, writing_rows
from service.model.bundle import Bundle
from service.model.contact_rule import ContactRule
from service.model.decide import Chosen, ContactList, Decider
from service.model.trees import Matrix
from service.storage import Opened, Writable

Put = Callable[[list[Rejected]], None]


@dataclass
class Counts:
    """What became of a file's rows. `blank` ones are no leads; `examples` are the first that were set aside.

    `columns` counts the cells that could not be read or that training never saw.
    """

    scored: int = 0
    contacts: int = 0
    set_aside: int = 0
    blank: int = 0
    examples: tuple[Rejected, ...] = ()
    columns: ColumnCounts = field(default_factory=ColumnCounts)

    def add(self, rejected: list[Rejected]) -> None:
        """Count the rows of these lines, of which one row may have several."""
        self.set_aside += len({each.row for each in rejected})
        self.examples = (*self.examples, *rejected)[:5]


Result = TypeVar("Result")


class ScoredBatch(NamedTuple):
    """A batch that was scored: its rows of the output, the scores of its leads, and what was set aside.

    `drawn` are the leads that are explored where they are not contacted for score or rank. `records` are the rows of
    its prediction records, where these are wanted.
    """

    rows: pa.RecordBatch
    scores: Matrix
    drawn: Chosen
    rejected: list[Rejected]
    columns: ColumnCounts
    records: pa.RecordBatch | None


@dataclass(frozen=True)
class FileJob:
    """How files are scored. With a `wish` the output is for people, else for programs.

    `accepted` are columns that may be wholly unlike training. With `quote` errors quote cells: for a person's own
    screen, never for a log. `rule` takes the place of the bundle's own contact rule.
    """

    bundle: Bundle
    form: Form
    threads: int
    wish: Wish | None = None
    accepted: frozenset[str] = frozenset()
    quote: bool = False
    rule: ContactRule | None = None

    @cached_property
    def decider(self) -> Decider:
        """Decides by the contact rule."""
        return Decider(self.bundle.manifest, self.rule)

    def ruled_by(self, rule: ContactRule) -> "FileJob":
        """The same under this contact rule."""
        return self if rule == self.decider.rule else replace(self, rule=rule)

    @cached_property
    def encoder(self) -> Encoder:
        """Encodes the files' cells."""
        return Encoder(self.bundle, self.form)

    @property
    def limited(self) -> bool:
        """Whether the team cannot contact all leads, or explores."""
        return self.bundle.manifest.economics.contacts_per_1000_leads < 1000 or self.decider.rule.explores

    def by_rank(self, part: FilePart | None) -> bool:
        """Whether the best leads of the file that fit are contacted, where the job is `limited`.

        A part of a file is decided by the line, for its leads' ranks in the file are not known.
        """
        return part is None and self.limited


def open_leads(origin: str, opened: Opened, job: FileJob, part: FilePart | None = None) -> tuple[LeadFile, list[str]]:
    """The opened file, and what is to be said of its columns. Raises SourceError where it cannot be scored.

    With a `part` its batches are of this part alone.
    """
    form = job.form
    leads = LeadFile(origin, opened.file, opened.size, form.delimiter, form.encoding, form.sheet, part)
    try:
        notes = leads.call([*job.encoder.names, *(job.wish.show if job.wish else ())])
        return leads, [*notes, *job.encoder.check(leads.columns, origin)]
    except BaseException:
        leads.__exit__()
        raise


def score_file(
    leads: LeadFile,
    job: FileJob,
    out: Writable,
    quarantine: Put,
    form: Format,
    tell: Callable[[int], None] = lambda _: None,
    judged: Callable[[Counts], Counts] = lambda counts: counts,
    record: Record | None = None,
) -> Counts:
    """Score every lead of the file into `out`; `tell` is called with the rows done so far. Raises SourceError.

    `record` takes the rows of the leads' prediction records. Whether the columns are like training's is told from what
    `judged` makes of the counts: of a part, those of the whole file.
    """
    counts, done, by_rank = Counts(), 0, job.by_rank(leads.part)
    written: Future[None] | None = None
    wish, bundle, rule = job.wish, job.bundle, job.decider.rule
    people = ForPeople(bundle, job.encoder, leads.columns, leads.origin, wish, rule) if wish else None
    with (
        writing_rows(out, form, people, leads.written, rule) as write,
        KeptRows() as kept,
        ThreadPoolExecutor(1, "write") as writing,  # while more is read
    ):

        def put(rows: pa.RecordBatch, records: pa.RecordBatch | None) -> None:
            write(rows)
            if record and records is not None:
                record(records)
            counts.contacts += pc.sum(pc.equal(rows.column("decision").indices, CONTACT)).as_py() or 0

        def score(batch: LeadBatch) -> ScoredBatch:
            return _score(leads.origin, batch, job, people, record is not None, by_rank)

        for batch, part in _in_order(leads, job, score):
            if part.rejected:
                quarantine(part.rejected)
                counts.add(part.rejected)
            counts.columns.update(part.columns)
            counts.blank += batch.blank
            counts.scored += len(part.scores)
            if written:
                written.result()
            if by_rank:
                written = writing.submit(kept.put, part.rows, part.records, part.scores, part.drawn)
            else:
                written = writing.submit(put, part.rows, part.records)
            done = counts.scored + counts.set_aside
            tell(done)
        if written:
            written.result()
        for rows, records, contacts in kept.decided(bundle.manifest):
            put(_by_list(rows, contacts, job, people), records and ruled(records, contacts, rule))
        tell(done)
    check_like_training(judged(counts).columns, bundle, leads.origin, job.accepted, job.quote)
    return counts


def _by_list(rows: pa.RecordBatch, contacts: ContactList, job: FileJob, people: ForPeople | None) -> pa.RecordBatch:
    """The rows with the decisions of their file's list."""
    if people:
        return people.decide(rows, contacts)
    ids, scores, bands = (rows.column(name) for name in ("lead_id", "score", "band"))
    return rows_for_programs(ids, scores, bands, contacts, job.decider.rule, job.bundle.version)


def count_file(leads: LeadFile, job: FileJob) -> Counts:
    """The counts of a file by which it is judged: `columns`, and how many leads can be scored, which none is here."""
    counts = Counts()
    for _, encoded in _in_order(leads, job, lambda batch: job.encoder.encode(batch.cells)):
        counts.columns.update(encoded.counts)
        counts.scored += len(encoded.matrix)
    return counts


def _drawn(job: FileJob, encoded: Encoded, places: npt.NDArray[np.intp]) -> Chosen:
    """Which of the leads are drawn to be explored, of those at these places; the others are not."""
    drawn = np.zeros(len(encoded.matrix), dtype=bool)
    if job.decider.rule.explores and len(places):
        drawn[places] = job.decider.drawn(lead_keys(encoded.ids.take(pa.array(places))).to_pylist())
    return drawn


def _in_order(leads: LeadFile, job: FileJob, work: Callable[[LeadBatch], Result]) -> Iterator[tuple[LeadBatch, Result]]:
    """The file's batches and what the work makes of each, on all threads, in the order of the file."""
    wanted = {*job.encoder.names, *(job.wish.show if job.wish else ())}
    repeating = {name for name, kind in job.encoder.kinds.items() if kind != "number"} - {job.form.id_column}
    waiting: deque[tuple[LeadBatch, Future[Result]]] = deque()
    with ThreadPoolExecutor(job.threads, "score") as pool:
        for batch in leads.batches(wanted, repeating):
            waiting.append((batch, pool.submit(work, batch)))
            # Two a thread: one that is being scored, one that is ready when it ends.
            if len(waiting) >= 2 * job.threads:
                first, result = waiting.popleft()
                yield first, result.result()
        while waiting:
            first, result = waiting.popleft()
            yield first, result.result()


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


def _score(
    origin: str, batch: LeadBatch, job: FileJob, people: ForPeople | None, recorded: bool, by_rank: bool
) -> ScoredBatch:
    """Score the batch and decide it by the line. Where it is to be decided `by_rank`, any of its leads may be drawn."""
    bundle, rule = job.bundle, job.decider.rule
    rejected = [Rejected(file=origin, row=each.row, column="", reason=each.reason) for each in batch.ragged]
    encoded = job.encoder.encode(batch.cells)
    if encoded.bad:
        named = batch.cells.column(job.form.id_column)
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
    decision, band = decided(job.decider, scores)
    above = scores >= rule.line
    drawn = _drawn(job, encoded, np.arange(len(scores)) if by_rank else np.flatnonzero(~above))
    contacts = ContactList(above, drawn & ~above)
    records = rows_of(job.encoder, batch.cells, encoded, scores, decision, band) if recorded and len(scores) else None
    if rule.explores and not by_rank:
        records = records and ruled(records, contacts, rule)
    if people:
        rows = people.rows(batch, encoded, scores)
    else:
        rows = rows_for_programs(encoded.ids, pa.array(scores), band, contacts, rule, bundle.version)
    return ScoredBatch(rows, scores, drawn, rejected, encoded.counts, records)
