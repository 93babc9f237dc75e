"""The rows of a scored file for people: every lead of the file in its order, with worth, reasons in words and columns
of its own; what was left out stands there without a score, with the reason.
"""

from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from service.lifecycle.data.csv_batches import LeadBatch
from service.lifecycle.data.source import SourceError
from service.lifecycle.scoring.encoder import Encoded, Encoder
from service.model.bundle import Bundle
from service.model.contact_rule import POLICIES, ContactRule
from service.model.decide import DECISIONS, ContactList, Decider
from service.model.reasons import Explainer, Input
from service.model.schema import Value
from service.model.spelling import WHOLE, Mark
from service.model.trees import Matrix
from service.model.words import SAID, SEEN, TYPICAL, Wording

SHOWN = 3
"""Columns of the file that may stand beside the scores."""
CACHED = 100_000
"""Sentences that are kept, for cells repeat."""
NAME = pa.dictionary(pa.int32(), pa.string())


class Wish(NamedTuple):
    """What people want to see beside the scores: at most SHOWN columns of the file, and reasons in words."""

    show: tuple[str, ...] = ()
    reasons: bool = True


class ForPeople:
    """Makes the rows for one bundle and one file with these columns. Safe to use from several threads.

    Where leads are explored a column `policy` says why a lead is contacted. Raises SourceError where a column to show
    is not in the file.
    """

    def __init__(
        self, bundle: Bundle, encoder: Encoder, columns: pa.Schema, origin: str, wish: Wish, rule: ContactRule
    ) -> None:
        show, reasons = wish.show, wish.reasons
        if unknown := [name for name in show if name not in columns.names]:
            raise SourceError(f"{origin}: has no column {unknown[0]!r} to show; it has {', '.join(columns.names)}")
        self._bundle, self._encoder, self._show = bundle, encoder, show
        self._decider = Decider(bundle.manifest, rule)
        self._reasons = _InWords(bundle, encoder) if reasons else None
        own = [("lead_id", pa.string()), ("score", pa.float64()), ("band", NAME), ("expected_value", pa.float64())]
        own += [("decision", NAME), *([("policy", NAME)] if rule.explores else [])]
        said = [f"reason_{place + 1}" for place in range(SAID if reasons else 0)]
        taken = {"left_out", "model_version", *said, *(name for name, _ in own)}
        shown = [(f"file_{name}" if name in taken else name, _plain(columns.field(name).type)) for name in show]
        texts = [(name, pa.string()) for name in (*said, "left_out")]
        self.schema = pa.schema([*own, *shown, *texts, ("model_version", NAME)])

    @property
    def decimal(self) -> Mark | None:
        """The decimal mark of the file's numbers, None where they have none."""
        marks = {spelling.decimal for spelling in self._encoder.spellings if spelling != WHOLE}
        return "," if "," in marks else "." if marks else None

    def rows(self, batch: LeadBatch, encoded: Encoded, scores: Matrix) -> pa.RecordBatch:
        """The batch's leads with these scores, and what was left out of it, in the order of their rows."""
        decision, band = self._decider.places(scores)
        worth = np.round(self._bundle.manifest.economics.expected_value(scores), 2)
        bands = pa.DictionaryArray.from_arrays(pa.array(band), pa.array(self._decider.bands)).cast(NAME)
        decided = pa.DictionaryArray.from_arrays(pa.array(decision.astype(np.int32)), pa.array(DECISIONS))
        version = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(scores), np.int32)), [self._bundle.version])
        places = _Places.of(batch, encoded)
        said = self._reasons.of(batch, encoded, scores, places.scored) if self._reasons else []
        own = [encoded.ids, pa.array(scores), bands, pa.array(worth), decided]
        if self._decider.rule.explores:
            own.append(pa.nulls(len(scores), NAME))
        shown = [batch.cells.column(name).cast(_plain(batch.cells.column(name).type)) for name in self._show]
        if places.unchanged:
            left_out = [pa.nulls(len(scores), pa.string())]
            return pa.RecordBatch.from_arrays([*own, *shown, *said, *left_out, version], schema=self.schema)
        of_leads = [places.of_leads(column) for column in (*own, *said, version)]
        ids, rest, version = of_leads[0], of_leads[1:-1], of_leads[-1]
        ids = pa.concat_arrays([_named(ids.slice(0, len(places.at)), batch, self._encoder), ids.slice(len(places.at))])
        told = [places.of_rows(column) for column in shown]
        ordered = [ids, *rest[: len(own) - 1], *told, *rest[len(own) - 1 :], pa.array(places.why, pa.string()), version]
        return pa.RecordBatch.from_arrays([column.take(places.order) for column in ordered], schema=self.schema)

    def decide(self, rows: pa.RecordBatch, contacts: ContactList) -> pa.RecordBatch:
        """The rows with the decisions of their file's list, which says of each scored one whether it is contacted."""
        scored = rows.column("score").is_valid().to_numpy(zero_copy_only=False)
        # An array for each column: Arrow keeps them without a copy.
        decisions, policies = np.zeros(len(scored), np.int32), np.zeros(len(scored), np.int32)
        decisions[scored], policies[scored] = contacts.ranked | contacts.explored, contacts.explored
        rows = self._with(rows, "decision", pa.array(decisions, mask=~scored), DECISIONS)
        if not self._decider.rule.explores:
            return rows
        return self._with(rows, "policy", pa.array(policies, mask=decisions == 0), POLICIES)

    def _with(self, rows: pa.RecordBatch, name: str, codes: pa.Array, names: tuple[str, ...]) -> pa.RecordBatch:
        place = self.schema.get_field_index(name)
        column = pa.DictionaryArray.from_arrays(codes, pa.array(names))
        return rows.set_column(place, self.schema.field(place), column)


class _Places(NamedTuple):
    """Where the leads of a batch stand among its rows. `at` is, for each row of its cells, its lead, or -1.

    `why` is why a row was left out, first for the rows with cells, then for those that could not be cut; `order` are
    those that are leads, in the file's order.
    """

    scored: npt.NDArray[np.intp]
    at: npt.NDArray[np.intp]
    why: list[str | None]
    order: npt.NDArray[np.intp]

    @property
    def unchanged(self) -> bool:
        """Whether every row was scored."""
        return len(self.scored) == len(self.why)

    @classmethod
    def of(cls, batch: LeadBatch, encoded: Encoded) -> "_Places":
        """The places of an encoded batch."""
        faults: dict[int, list[str]] = defaultdict(list)
        lines: set[int] = set()
        for bad in encoded.bad:
            faults[bad.place].append(f"{bad.column}: {bad.reason}")
            if not bad.lead:
                lines.add(bad.place)
        count = batch.cells.num_rows
        scored = np.array([i for i in range(count) if i not in faults], np.intp) if faults else np.arange(count)
        at = np.full(count, -1, np.intp)
        at[scored] = np.arange(len(scored))
        why = [f"row {batch.rows[i]}, {'; '.join(faults[i])}" if i in faults else None for i in range(count)]
        cut = [each for each in batch.ragged if each.lead]
        numbers = [*batch.rows, *(each.row for each in cut)]
        order = [i for i in np.argsort(numbers, kind="stable") if i not in lines]
        return cls(scored, at, [*why, *(f"row {each.row}: {each.reason}" for each in cut)], np.array(order, np.intp))

    def of_leads(self, column: pa.Array) -> pa.Array:
        """A column of the scored leads as one of all rows, empty where a row was left out."""
        at = np.append(self.at, np.full(len(self.why) - len(self.at), -1))
        return column.take(pa.array(at, mask=at < 0))

    def of_rows(self, column: pa.Array) -> pa.Array:
        """A column of the rows with cells as one of all rows."""
        return pa.concat_arrays([column, pa.nulls(len(self.why) - len(self.at), column.type)])


class _InWords:
    """The reasons of a batch's scores as columns of sentences."""

    def __init__(self, bundle: Bundle, encoder: Encoder) -> None:
        manifest = bundle.manifest
        self._explainer = Explainer(bundle.engine, manifest.encoding, manifest.lead_schema, bundle.reference)
        self._wording = Wording(bundle.engine, manifest.lead_schema, bundle.reference)
        self._kinds = encoder.kinds
        self._at = {name: column for column, name in enumerate(manifest.encoding.numbers)}
        self._kept: dict[tuple[Input, Any, bool], str] = {}

    def of(self, batch: LeadBatch, encoded: Encoded, scores: Matrix, scored: npt.NDArray[np.intp]) -> list[pa.Array]:
        """SAID columns of one entry a lead, the strongest reason first. `scored` are the leads' places in the batch."""
        said = np.full((len(scores), SAID), None, dtype=object)
        inputs = self._explainer.inputs
        if inputs and len(scores):
            effects = self._explainer.effects(encoded.matrix, scores)
            order = np.argsort(-np.abs(effects), axis=1, kind="stable")[:, :SAID]
            strongest = np.take_along_axis(effects, order, axis=1)
            for place, by in enumerate(inputs):
                name = by.feature
                rows, ranks = np.nonzero((order == place) & (np.abs(strongest) >= SEEN))
                there = name in batch.cells.schema.names
                cells = batch.cells.column(name).take(scored[rows]).to_pylist() if there else [None] * len(rows)
                numbers = encoded.matrix[rows, self._at[name]].tolist() if name in self._at else [None] * len(rows)
                raises = (strongest[rows, ranks] > 0).tolist()
                for row, rank, *what in zip(rows, ranks, cells, numbers, raises, strict=True):
                    said[row, rank] = self._sentence(by, *what)
        said[[first is None for first in said[:, 0]], 0] = TYPICAL
        return [pa.array(said[:, rank], pa.string()) for rank in range(SAID)]

    def _sentence(self, by: Input, cell: Any, number: float | None, raises: bool) -> str:
        key = (by, cell, raises)
        if (found := self._kept.get(key)) is not None:
            return found
        value: Value = None if cell is None else str(cell) if number is None else number
        if self._kinds[by.feature] == "boolean" and number is not None and number == number:
            value = bool(number)
        sentence = self._wording.sentence(by, value, raises, cell if isinstance(cell, str) else None)
        if len(self._kept) < CACHED:
            self._kept[key] = sentence
        return sentence


def _named(ids: pa.Array, batch: LeadBatch, encoder: Encoder) -> pa.Array:
    """The ids, and for rows that were left out what stands in the id's place."""
    written = batch.cells.column(encoder.form.id_column).cast(pa.string())
    return pc.coalesce(ids, written)


def _plain(column: pa.DataType) -> pa.DataType:
    return column.value_type if pa.types.is_dictionary(column) else column
