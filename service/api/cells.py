"""POST /v1/score/cells: rows of raw cells, which the service reads as the training read its file."""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from service.api.problem import FieldError, Problem
from service.model.bundle import Bundle
from service.model.contact_rule import Policy
from service.model.decide import Decision
from service.model.reasons import Reason
from service.model.schema import MAX_ID, Value
from service.reading.cells import UnreadableCell, read_cell
from service.reading.header import Header
from service.reading.ids import as_id
from service.reading.rows import TOTALS

Cell = str | int | float | bool | None
UNFIT = 409
"""The status for columns that are not those of the served model. 422 is for what no model would take."""
MAX_COLUMNS = 2_000
"""Columns of a request; of those that the model does not read a caller need send none."""


class CellsRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Rows as a file has them, and the names of their `columns`. The lead's id is in `id_column`, by default that of
    the training."""

    columns: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MAX_COLUMNS)]
    rows: Annotated[list[list[Cell]], msgspec.Meta(min_length=1)]
    id_column: str | None = None


class RowScore(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a row. One that could not be read has `problems`, each with its column, and no score.

    `because` are the reasons in words; `reasons` and `because` are there where they were asked for. `policy` and
    `probability` are there where leads are explored, as in a lead's score. `drawn` is true of a lead that is explored
    wherever it is not contacted for its score or rank. Rows of a file without a column of ids are never explored, nor
    are trials.
    """

    lead_id: str
    score: float | None = None
    decision: Decision | None = None
    band: str | None = None
    expected_value: float | None = None
    model_version: str | None = None
    policy: Policy | None = None
    probability: float | None = None
    drawn: bool = False
    because: list[str] | None = None
    reasons: list[Reason] | None = None
    problems: list[FieldError] = []


class CellsResponse(msgspec.Struct, frozen=True):
    """The answer to a request: one entry a row, in the request's order. `line` is the score from which leads are
    contacted for their score."""

    request_id: str
    rows: list[RowScore]
    line: float


class ReadRow(NamedTuple):
    """A row's id and values, or what is wrong with it."""

    lead_id: str
    lead: msgspec.Struct | None
    problems: list[FieldError]


class Columns:
    """Where a file's columns stand. Raises Problem where the file has none that the model reads.

    `doubtful` are columns that the model reads and of which there are several: the first of one very name counts, and
    none of those that differ in case and blanks.
    """

    def __init__(self, bundle: Bundle, names: Sequence[str], id_column: str | None = None) -> None:
        self._features, self._type = bundle.manifest.lead_schema.features, bundle.engine.features
        self.names = names
        header = Header(names)
        self.places = [header.place_of(feature.name) for feature in self._features]
        named = id_column or bundle.manifest.id_column or "lead_id"
        self.id_place = header.place_of(named)
        self.doubtful = [name for name in (named, *(f.name for f in self._features)) if header.is_doubtful(name)]
        if id_column is not None and self.id_place is None:
            error = FieldError("id_column", f"no column is called {id_column[:MAX_ID]!r}")
            raise Problem(UNFIT, "no lead scored", [error])
        if all(place is None for place in self.places):
            expected = ", ".join(repr(feature.name) for feature in self._features[:10])
            found = ", ".join(repr(name[:MAX_ID]) for name in names[:10])
            raise Problem(UNFIT, f"none of the model's columns is there; it reads {expected}, and the file has {found}")

    def read(self, row: Sequence[Cell], unnamed: str) -> ReadRow:
        """The row; `unnamed` is its id where the file has no column with ids."""
        if len(row) != len(self.names):
            count = f"has {len(row)} cells where there are {len(self.names)} columns"
            return ReadRow(unnamed, None, [FieldError("", count)])
        lead_id = unnamed if self.id_place is None else as_id(row[self.id_place])
        problems = [] if self.id_place is None else self._problems_of_id(lead_id, self.names[self.id_place])
        values: list[Value] = []
        for feature, place in zip(self._features, self.places, strict=True):
            try:
                values.append(None if place is None else read_cell(row[place], feature))
            except UnreadableCell as error:
                problems.append(FieldError(feature.name, str(error)))
        return ReadRow(lead_id[:MAX_ID], None if problems else self._type(*values), problems)

    def written(self, row: Sequence[Cell]) -> dict[str, str]:
        """The cells as they were sent, by the model's names."""
        placed = zip(self._features, self.places, strict=True)
        return {f.name: cell for f, p in placed if p is not None and isinstance(cell := row[p], str)}

    def _problems_of_id(self, lead_id: str, column: str) -> list[FieldError]:
        if not lead_id or len(lead_id) > MAX_ID:
            return [FieldError(column, f"names no lead, or one of more than {MAX_ID} characters")]
        return [FieldError(column, f"{lead_id!r} is a total, no lead")] if lead_id in TOTALS else []


def decode(body: bytes, most: int) -> CellsRequest:
    """The request in this body, of at most so many rows. Raises Problem."""
    try:
        asked: CellsRequest = _decode(body)
    except msgspec.ValidationError as error:
        raise Problem(422, f"no lead scored: {str(error)[:400]}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, f"the body is not JSON: {str(error)[:400]}") from error
    if len(asked.rows) > most:
        why = f"at most {most} rows a request"
        raise Problem(422, f"{why}, no lead scored", [FieldError("rows", f"{why}; {len(asked.rows)} were sent")])
    return asked


_decode: Any = msgspec.json.Decoder(CellsRequest).decode
