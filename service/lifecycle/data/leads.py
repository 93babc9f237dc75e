"""Leads with known outcomes, prepared for the models: typed columns, target, ids and times, oldest first."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from service.lifecycle.data.column_names import with_columns
from service.lifecycle.data.columns import Column, missing_of, read_column
from service.lifecycle.data.inference import Found, key_of_numbers, shortened
from service.lifecycle.data.labels import Labels, label, outcome_column
from service.lifecycle.data.outcome import OutcomeValues, find_outcomes
from service.lifecycle.data.sample import Sample, generate
from service.lifecycle.data.source import Source, SourceError
from service.lifecycle.data.table import Table, form_of_table, read_table
from service.lifecycle.relations.sample_plan import Drawn
from service.model.reference import MIN_LEADS
from service.model.schema import Feature, Kind, LeadSchema
from service.model.spelling import fold
from service.reading.ids import as_id

IDENTIFIER_SHARE = 0.9
"""A text or whole-number column with more distinct values than this share of its cells is an identifier."""

SHOWN = 5
"""Marks for "no value" that a note names at most."""


@dataclass(frozen=True)
class Leads:
    """A lead source's leads with an outcome. All arrays have one entry a lead, oldest first where the order is known.

    `frame` has the schema's columns: numbers and booleans as float64 (NaN: missing), categories as text ("":
    missing). `target` is 1 where the lead converted. `sha256` is of the file's bytes as stored. `notes` say, a line
    each, what was left out. `left_out` are the cells of columns that are no inputs, as `Column.as_found` gives them.
    `drawn` is of a sample; without it every lead stands for itself. Where only contacted leads have outcomes,
    `contact_weights` are by their probabilities of a contact (see `relations.outcomes.labelled`), and `explored` leads
    were contacted at random.
    """

    schema: LeadSchema
    frame: pd.DataFrame
    target: npt.NDArray[np.int8]
    ids: npt.NDArray[np.object_] | None
    times: pd.DatetimeIndex | None
    in_time_order: bool
    sha256: str
    notes: tuple[str, ...]
    outcomes: OutcomeValues
    left_out: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    drawn: Drawn | None = None
    contact_weights: npt.NDArray[np.float64] | None = None
    explored: npt.NDArray[np.bool_] | None = None

    @property
    def weights(self) -> npt.NDArray[np.float64] | None:
        """How many leads each stands for; None: itself."""
        if self.drawn is None or self.contact_weights is None:
            return self.drawn.weights if self.drawn else self.contact_weights
        return self.drawn.weights * self.contact_weights

    @property
    def whole(self) -> npt.NDArray[np.bool_]:
        """Those that models may be judged on without a sample's weights: all, or its newest leads, which come last."""
        return self.drawn.whole if self.drawn else np.ones(len(self.target), dtype=bool)

    @property
    def sampled_from(self) -> int:
        """How many leads there were."""
        return self.drawn.stated.leads if self.drawn else len(self.target)


def load(source: Source, schema: LeadSchema | None = None) -> Leads:
    """Read the source's leads; infer the schema, or take the one given, whose names and kinds are then binding.

    Raises SourceError naming file, row and column, and the remedy.
    """
    table = _with_named_columns(source, read_raw(source), schema)
    labels = label(source, table)
    table, target = labels.table, labels.target
    timed = read_column(table, source.time_column) if source.time_column else None
    times = timed.times(source.time_format, source.zone) if timed else None
    served = {feature.name: feature for feature in schema.features} if schema else {}
    columns = _columns(source, table, list(served) or _inputs(source, table), served)
    kinds, notes = (schema_kinds(schema), []) if schema else _infer(source, table, columns, len(target))
    if timed and timed.zoneless(source.time_format):
        notes = [
            *notes,
            f"{timed.name}: times that name no zone are read as {source.timezone}; timezone states another",
        ]
    notes = [*table.notes, *labels.notes, *notes, *_doubt_of_times(source, times, table)]
    unused = (*source.leaks, *source.leave_out, *_groups(source, table))
    other = [name for name in (*unused, *_inputs(source, table)) if name not in kinds]
    left_out = {name: (columns.get(name) or _column(source, table, name)).as_found() for name in other}
    columns = {name: columns[name] for name in kinds}
    if schema:
        _check_kinds(source, columns, kinds)
        _check_separators(source, schema)
        notes += [f"{n}: left out, not in the served schema" for n in _inputs(source, table) if n not in kinds]
    features = tuple(_feature(source, columns[name], kind) for name, kind in kinds.items())
    frame = pd.DataFrame({f.name: columns[f.name].prepare(f.kind) for f in features})
    notes += [note for name, kind in kinds.items() for note in _spellings(columns[name], kind)]
    ids = _ids(table, source.id_column, notes) if source.id_column else None
    order = np.arange(len(target)) if times is None else np.argsort(times, kind="stable")
    return Leads(
        LeadSchema(features=features),
        frame.iloc[order].reset_index(drop=True),
        target[order],
        None if ids is None else ids[order],
        None if times is None else times[order],
        source.in_time_order,
        table.sha256,
        tuple(notes),
        labels.values,
        {name: cells[order] for name, cells in left_out.items()},
    )


def outcome_values(source: Source) -> OutcomeValues:
    """What the outcomes in the source's own data mean. Raises SourceError where these cannot be read."""
    return find_outcomes(source, outcome_column(source, _with_named_columns(source, read_raw(source), None)))


def labelled(source: Source) -> Labels:
    """The source's leads with an outcome, as they stand in its file. Raises SourceError."""
    return label(source, _with_named_columns(source, read_raw(source), None))


def read_raw(source: Source) -> Table:
    """The source's table as it stands in its file, or as it is generated. Raises SourceError."""
    return _sample_table(source.sample) if source.sample else read_table(source.location, form_of_table(source))


def schema_kinds(schema: LeadSchema) -> dict[str, Kind]:
    """Kind by feature name, in the schema's order."""
    return {feature.name: feature.kind for feature in schema.features}


def _sample_table(sample: Sample) -> Table:
    frame = generate(sample).frame
    digest = hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()
    return Table("the sample", pa.Table.from_pandas(frame, preserve_index=False), range(1, len(frame) + 1), digest)


def _with_named_columns(source: Source, table: Table, schema: LeadSchema | None) -> Table:
    """The table whose columns are called as source and schema call them. Raises SourceError where one is not there."""
    outcomes, present = [source.target_column], set(map(fold, table.cells.column_names))
    if source.outcomes:  # beside the leads they need not be there, and are left out where they are
        outcomes = [name for name in (source.target_column, source.outcome_column) if fold(name) in present]
    return with_columns(
        table,
        [
            ("target_column", outcomes),
            ("id_column", [source.id_column]),
            ("time_column", [source.time_column]),
            ("leaks", source.leaks),
            ("leave_out", source.leave_out),
            ("groups", [name for name in source.groups if fold(name) in present]),
            ("missing_in", source.missing_in),
            ("kinds", source.kinds),
            ("separators", source.separators),
            ("the served schema", schema_kinds(schema) if schema else ()),
        ],
    )


def _inputs(source: Source, table: Table) -> list[str]:
    roles = {
        source.target_column,
        source.outcome_column,
        source.id_column,
        source.time_column,
        *source.leaks,
        *source.leave_out,
        *source.groups,
    }
    return [name for name in table.cells.column_names if name not in roles]


def _groups(source: Source, table: Table) -> list[str]:
    return [name for name in source.groups if name in table.cells.column_names]


def _missing(source: Source, name: str) -> tuple[str | float, ...]:
    return (*source.missing, *source.missing_in.get(name, ()))


def _column(source: Source, table: Table, name: str, served: Feature | None = None) -> Column:
    stated = None if name in table.typed else source.decimal
    marks = source.missing_in.get(name) != ()
    frozen, separator = None, source.separators.get(name)
    if served:
        # Whole numbers decide nothing about the mark of later ones: all cells of the new file do.
        frozen = None if served.spelling and served.spelling.whole else served.spelling
        separator = served.separator or ""
    return read_column(table, name, _missing(source, name), stated, frozen, marks, separator)


def _columns(source: Source, table: Table, names: list[str], served: Mapping[str, Feature]) -> dict[str, Column]:
    """The columns by name; one in which no cell tells the decimal mark has that of all others, where they have one.

    A file is written by one program, in one language.
    """
    columns = {name: _column(source, table, name, served.get(name)) for name in names}
    marks = {column.finding.decides for column in columns.values()} - {None}
    if len(marks) == 1:
        (mark,) = marks
        columns = {
            name: replace(column, stated=mark) if column.finding.ambiguous and column.stated is None else column
            for name, column in columns.items()
        }
    return columns


def _feature(source: Source, column: Column, kind: Kind) -> Feature:
    """The feature that this column gives, with how files write it."""
    missing = list(missing_of(kind, _missing(source, column.name)))
    if kind == "category":
        missing += [mark for mark in column.nothing(kind) if mark not in missing]
    spelling = column.spelling if kind == "number" and not column.spelling.plain else None
    separator = column.separator or None if kind == "category" else None
    return Feature(name=column.name, kind=kind, missing=tuple(missing), spelling=spelling, separator=separator)


def _spellings(column: Column, kind: Kind) -> Iterator[str]:
    """What is to be said about how the cells of a feature are written."""
    yield from (f"{column.name}: {note}" for note in column.finding.notes if column.finding.kind == kind)
    if nothing := column.nothing(kind):
        cells = sum(int(count) for v, count in zip(column.values, column.counts, strict=True) if v in nothing)
        yield f"{column.name}: {cells:,} cells are missing: {', '.join(map(repr, nothing[:SHOWN]))}"
    if kind != "category":
        return
    often = {text for text, count in column.texts.items() if count >= MIN_LEADS}
    if column.separator:
        some = ", ".join(map(repr, [text for text, _ in column.texts.most_common() if text in often][:3]))
        yield (
            f"{column.name}: several choices in a cell, separated by {column.separator!r}, each an input of its own "
            f'({some}); where a cell is one value, say so under [separators]: "{column.name}" = ""'
        )
    if common := column.common_spellings():
        shown = next((f", such as {v!r} as {w!r}" for v, w in common.items() if {v, w} <= often), "")
        yield f"{column.name}: {len(common):,} spellings are read as others{shown}"


def _ids(table: Table, name: str, notes: list[str]) -> npt.NDArray[np.object_]:
    """The leads' ids. Raises SourceError where they tell no leads apart."""
    column = read_column(table, name)
    where = f"{table.origin}, column {name!r}"
    if cut := shortened(column.values):
        raise SourceError(f"{where}: {_shortened(cut)}")
    ids = np.array([*map(as_id, column.values), ""], dtype=object)[column.codes]
    distinct = set(ids)
    if len(distinct) == 1 < len(ids):
        raise SourceError(f"{where}: all {len(ids):,} leads have the id {ids[0]!r}; name another id_column, or none")
    if repeated := len(ids) - len(distinct):
        notes.append(f"{name}: {repeated} leads have the id of another; the same lead may be judged twice")
    return ids


def _shortened(cell: str) -> str:
    return (
        f"{cell!r} is a number that a spreadsheet has shortened, and its digits are lost; export the column as text, "
        "or list it under leave_out"
    )


def _doubt_of_times(source: Source, times: pd.DatetimeIndex | None, table: Table) -> Iterator[str]:
    """A note where the stated order of day and month fits all cells, but the other one does too, and sorts the rows."""
    if times is None or source.time_column is None or source.time_format is None or times.is_monotonic_increasing:
        return
    swapped = source.time_format.translate(str.maketrans("dm", "md"))
    column = read_column(table, source.time_column)
    try:
        other = column.times(swapped, source.zone)
    except SourceError:
        return
    if swapped != source.time_format and other.is_monotonic_increasing:
        yield (
            f"{source.time_column}: CHECK time_format: {swapped!r} fits all cells too, and by it the rows are in time "
            f"order, which they are not by {source.time_format!r}"
        )


def _infer(source: Source, table: Table, columns: dict[str, Column], leads: int) -> tuple[dict[str, Kind], list[str]]:
    """Kind by name of the inputs worth learning from, and a line for each of the others. Raises SourceError."""
    notes = [f"{name}: left out, known only afterwards, as leaks says" for name in source.leaks]
    notes += [f"{name}: left out, as leave_out says" for name in source.leave_out]
    notes += [f"{name}: left out, as groups says" for name in _groups(source, table)]
    kinds: dict[str, Kind] = {}
    for name, column in columns.items():
        stated = source.kinds.get(name) or ("category" if source.separators.get(name) else None)
        found = column.kind()
        if stated is None and (cut := shortened(column.values)):
            raise SourceError(f"{table.origin}, column {name!r}: {_shortened(cut)}")
        if stated is None:
            column.check()
        if stated is not None:
            kinds[name] = stated
        elif why := _useless(column, found, leads):
            notes.append(f"{name}: left out, {why}")
        elif found in ("number", "boolean", "category"):
            kinds[name] = found
    if not kinds:
        raise SourceError(f"{table.origin}: no column is left to learn from: {'; '.join(notes)}")
    return kinds, notes


def _useless(column: Column, found: Found, leads: int) -> str:
    """Why there is nothing to learn from a column of that many leads; empty where there may be."""
    if found is None:
        return "all cells are missing"
    if len(column.values) == 1 and len(column.present) == leads:
        return f"all cells hold {str(column.values[0])[:40]!r}"
    if found == "time":
        order = f" ({column.finding.order})" if column.finding.order not in (None, "year first") else ""
        return f"holds times{order}; to use it, export the days since then as a number"
    if found == "nested":
        return "its cells are no single values"
    numbers = [value for value in column.prepare("number") if value == value] if found == "number" else []
    if why := key_of_numbers(np.array(numbers)) if numbers else column.identifier(IDENTIFIER_SHARE):
        return (
            f"identifier-like ({why}, {len(column.values)} different values in {len(column.present)} cells); to use "
            "it, give its kind under [kinds]"
        )
    return ""


def _check_kinds(source: Source, columns: dict[str, Column], kinds: dict[str, Kind]) -> None:
    """Refuse a column that has become another: numbers in a category would all be values never seen."""
    for name, column in columns.items():
        found, stated = column.kind(), source.kinds.get(name, kinds[name])
        if stated != kinds[name]:
            raise SourceError(f"kinds.{name}: {stated} contradicts the served schema, where it is a {kinds[name]}")
        typed = any(isinstance(value, bool) for value in column.values)
        if kinds[name] == "category" and (found == "number" or typed) and name not in source.kinds:
            column.refuse(0, f"is a {found}; the served schema has a category there, and callers rely on it")


def _check_separators(source: Source, schema: LeadSchema) -> None:
    served = schema.separators
    for name, separator in source.separators.items():
        if separator != served.get(name, ""):
            raise SourceError(
                f"separators.{name}: {separator!r} contradicts the served schema, where it is {served.get(name, '')!r}"
            )
