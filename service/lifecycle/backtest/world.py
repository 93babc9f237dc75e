"""The world of a replay: leads that come block after block, a clock, and outcomes that come late and in pieces."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import parquet

from service.lifecycle.data.columns import read_column
from service.lifecycle.data.leads import Leads, labelled, load
from service.lifecycle.data.source import ID_COLUMN, Source, SourceError
from service.lifecycle.evaluation import outcomes
from service.lifecycle.training.golden import as_received
from service.lifecycle.training.selection import Rows
from service.model.bundle import Bundle
from service.model.contact_rule import POLICIES, ContactRule
from service.model.decide import DECISIONS, Decider, contact_list
from service.model.schema import Value
from service.reading.ids import join_key
from service.records import PredictionRecord, object_key, to_lines, to_object
from service.storage import Storage

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
"""When the first block begins; any time would do."""

CONVERTED, LOST = "converted", "lost"
"""Outcomes as the replay spells them."""

SITTINGS, LASTS = 10, timedelta(hours=1)
"""A block's leads come in so many sittings, each of which lasts so long: an object holds an hour's records."""


@dataclass(frozen=True)
class History:
    """All leads of a source, cut into blocks. Of these `source` holds those that come before the first block alone.

    A block lasts as long as an outcome takes to become final. So when block j begins, the outcomes of blocks up to
    j - 2 are final, and those of j - 1 are there in part, which nothing may count yet.
    """

    source: Source
    leads: Leads
    inputs: list[dict[str, Value]]
    blocks: tuple[slice, ...]
    period: timedelta

    def begins(self, block: int) -> datetime:
        """When the block begins, and the one before it ends."""
        return BEGIN + block * self.period

    def rows(self, block: int) -> Rows:
        """The places of the block's leads among all."""
        return np.arange(len(self.inputs))[self.blocks[block]]

    def sittings(self, block: int) -> Iterator[tuple[datetime, Rows]]:
        """When each sitting of the block begins, and its leads."""
        for sitting, rows in enumerate(np.array_split(self.rows(block), SITTINGS)):
            yield self.begins(block) + (sitting + 0.5) / SITTINGS * self.period, rows

    def days(self, rows: Rows) -> npt.NDArray[np.int64]:
        """The day that each of these leads of blocks is scored on; two sittings may be of one."""
        day = np.zeros(len(self.inputs), dtype=np.int64)
        for block in range(len(self.blocks)):
            for begin, mine in self.sittings(block):
                day[mine] = (begin - BEGIN).days
        return day[rows]

    def score(self, block: int, bundle: Bundle, rule: ContactRule | None, predictions: Storage) -> None:
        """Score the block's leads by this bundle; each sitting is a list for sales, whose records become one object.

        A list is decided as `batch` decides a file. Leads are explored by this rule, by the bundle's own where it is
        None.
        """
        engine, decider, manifest = bundle.engine, Decider(bundle.manifest, rule), bundle.manifest
        for begin, rows in self.sittings(block):
            leads = engine.parse(msgspec.json.encode([self.inputs[row] for row in rows]))
            scores, ids = np.array(engine.score(leads)), [lead_id(row) for row in rows]
            drawn = decider.drawn(map(join_key, ids))
            contacts = contact_list(scores, drawn, manifest.threshold, manifest.economics)
            records = [
                PredictionRecord(
                    request_id=f"block-{block}",
                    lead_id=ids[place],
                    time=begin + place / len(rows) * LASTS,
                    model_version=bundle.version,
                    inputs=lead,
                    score=score,
                    decision=DECISIONS[ranked or explored],
                    band=decider.band(score),
                    latency_ms=0.0,
                    source=self.source.name,
                    channel="batch",
                    line=decider.rule.line,
                    role="champion",
                    policy=POLICIES[explored] if decider.rule.explores else None,
                    probability=(1.0 if ranked else decider.rule.explore_probability)
                    if decider.rule.explores
                    else None,
                )
                for place, (lead, score, ranked, explored) in enumerate(
                    zip(leads, scores.tolist(), *(kind.tolist() for kind in contacts), strict=True)
                )
            ]
            predictions.create(object_key(f"{begin:%Y%m%dT%H%M%SZ}-replay"), to_object(to_lines(records)))

    def deliver(self, block: int, leads: Storage) -> None:
        """Bring the outcomes that come while this block begins: the rest of j - 2's, and the first half of j - 1's."""
        for scored, part in ((block - 2, 1), (block - 1, 0)):
            if 0 <= scored < len(self.blocks):
                rows = self.rows(scored)[part::2]
                spelled = [CONVERTED if self.leads.target[row] else LOST for row in rows]
                table = pa.table({ID_COLUMN: [lead_id(row) for row in rows], self.source.target_column: spelled})
                sink = pa.BufferOutputStream()
                parquet.write_table(table, sink)
                key = f"{outcomes.PREFIX}block-{scored:03}-part-{part}.parquet"
                leads.create(key, sink.getvalue().to_pybytes())


def lead_id(row: int) -> str:
    """The id of the lead in this row, the first being 0."""
    return f"lead-{row:07}"


def build(source: Source, folder: Path, first: int, size: int) -> History:
    """Cut the source's leads: the `first` rows become a file in the folder, the others blocks of this size.

    The last block takes what is left over. The schema is inferred from the first rows alone. Raises SourceError.
    """
    if not source.in_time_order:
        raise SourceError(f"source {source.name!r} states no time order, and a replay needs one: give time_column")
    labels = labelled(source)
    table = labels.table
    cells = _with_outcome(source, table.cells, labels.target)
    if source.time_column:
        times = read_column(table, source.time_column).times(source.time_format, source.zone)
        cells = cells.take(np.argsort(times, kind="stable"))
    count = (len(cells) - first) // size
    if count < 3:
        raise SourceError(
            f"{table.origin}: has {len(cells):,} leads; a replay from row {first:,} in blocks of {size:,} needs "
            f"{first + 3 * size:,}: give a smaller --from or --block"
        )
    folder.mkdir(parents=True, exist_ok=True)
    known = _without_time(source, folder / "known.parquet", cells.slice(0, first))
    everything = _without_time(source, folder / "everything.parquet", cells)
    leads = load(everything, load(known).schema)
    ends = [first + size * number for number in range(1, count)]
    blocks = tuple(slice(*pair) for pair in pairwise([first, *ends, len(cells)]))
    for number, block in enumerate(blocks):
        if not 0 < leads.target[block].mean() < 1:
            raise SourceError(
                f"{table.origin}: the leads of block {number}, rows {block.start:,} to {block.stop:,}, all have the "
                "same outcome, and no figure ranks one kind alone: give a larger --block"
            )
    received = [as_received(leads.schema, row) for row in leads.frame.to_dict("records")]
    return History(known, leads, received, blocks, timedelta(days=max(source.maturity_days, 1)))


def _with_outcome(source: Source, cells: pa.Table, target: npt.NDArray[np.int8]) -> pa.Table:
    """The leads with their outcome spelled in one way, and without other columns for it."""
    others = {source.target_column, source.outcome_column} & set(cells.column_names)
    spelled = pa.array(np.where(target == 1, CONVERTED, LOST))
    return cells.drop_columns(sorted(others)).append_column(source.target_column, spelled)


def _without_time(source: Source, file: Path, cells: pa.Table) -> Source:
    """The source on this file: its order is the time, because the simulated clock has nothing to do with the real.

    The outcome of every lead in it is known.
    """
    parquet.write_table(cells, file)
    dropped = [column for column in (source.id_column, source.time_column) if column]
    return source.model_copy(
        update={
            "path": str(file.absolute()),
            "sample": None,
            "positive": (CONVERTED,),
            "negative": (),
            "absent_after_days": None,
            "outcomes": None,
            "id_column": None,
            "time_column": None,
            "time_format": None,
            "rows_in_time_order": True,
            "leave_out": (*source.leave_out, *dropped),
        }
    )
