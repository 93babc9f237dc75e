"""Prediction records as a table: one row a record, and one column for each input field and kind of value.

The kind is a part of the column's name, `number:visits`, so that the column has the same type in every file. DuckDB and
Spark compare names without case, so a letter whose case matters is escaped in the name: `Visits` becomes `^visits`.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import pyarrow as pa

from service.lifecycle.relations.lead_keys import lead_keys
from service.model.schema import Value
from service.records import PredictionRecord

_REQUIRED = [
    ("lead_key", pa.string()),
    ("lead_id", pa.string()),
    ("time", pa.timestamp("us", "UTC")),
    ("request_id", pa.string()),
    ("model_version", pa.string()),
    ("score", pa.float64()),
    ("decision", pa.string()),
    ("band", pa.string()),
]
_OPTIONAL = [
    ("latency_ms", pa.float64()),
    ("source", pa.string()),
    ("channel", pa.string()),
    ("line", pa.float64()),
    ("role", pa.string()),
    ("policy", pa.string()),
    ("probability", pa.float64()),
]
FIXED = pa.schema(
    [pa.field(name, kind, nullable=False) for name, kind in _REQUIRED]
    + [pa.field(name, kind) for name, kind in _OPTIONAL]
)
"""The columns that every table of records has, before those of its input fields."""

InputKind = Literal["number", "text", "boolean"]
INPUT_TYPES: dict[InputKind, pa.DataType] = {"number": pa.float64(), "text": pa.string(), "boolean": pa.bool_()}
_KINDS: dict[type, InputKind] = {float: "number", int: "number", str: "text", bool: "boolean"}

_ESCAPE = "^"
_ESCAPED = re.compile(r"\^(?:\{([0-9a-f]+)\}|(.))", re.DOTALL)


def input_column(kind: InputKind, name: str) -> str:
    """The column of an input field's values of one kind. Two columns differ in more than case. `input_field` undoes it.

    `^` before a letter stands for its upper case, `^^` for `^`, `^{df}` for a character such as ß, whose case has no
    plain inverse, by its hexadecimal code point.
    """
    return f"{kind}:{''.join(map(_escaped, name))}"


def input_field(column: str) -> tuple[InputKind, str] | None:
    """Kind and name of the input field that a column holds; None for one of FIXED."""
    for kind in get_args(InputKind):
        if column.startswith(f"{kind}:"):
            return kind, _ESCAPED.sub(_original, column.removeprefix(f"{kind}:"))
    return None


def check_columns(schema: pa.Schema) -> None:
    """Raise ValueError where a file of these columns holds no records: one file's other type is the type of all."""
    for field in FIXED:
        if field.name not in schema.names and not field.nullable:
            raise ValueError(f"it has no column {field.name!r}")
    for name in schema.names:
        of_input = input_field(name)
        kind = INPUT_TYPES[of_input[0]] if of_input else FIXED.field(name).type if name in FIXED.names else None
        if kind not in (None, schema.field(name).type):
            raise ValueError(f"its column {name!r} is of type {schema.field(name).type}, not {kind}")


def _escaped(character: str) -> str:
    if character == _ESCAPE:
        return _ESCAPE * 2
    if _has_no_other_case(character):
        return character
    lower = character.lower()
    if len(lower) == 1 and lower.upper() == character and _has_no_other_case(lower):
        return _ESCAPE + lower
    return f"{_ESCAPE}{{{ord(character):x}}}"


def _has_no_other_case(character: str) -> bool:
    """Whether the character stays what it is under every way to ignore case, that of Java's strings among them."""
    return character == character.casefold() == character.upper().lower()


def _original(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else match[2].upper()


def record_table(records: Sequence[PredictionRecord[dict[str, Value]]]) -> pa.Table:
    """The records as a table: the columns of FIXED, then those of the input fields that have a value in any record."""
    ids = pa.array([record.lead_id for record in records], pa.string())
    arrays = [
        lead_keys(ids) if field.name == "lead_key" else pa.array([getattr(r, field.name) for r in records], field.type)
        for field in FIXED
    ]
    inputs = [record.inputs for record in records]
    names = dict.fromkeys(name for given in dict.fromkeys(map(tuple, inputs)) for name in given)
    columns = [column for name in names for column in _input_columns(name, [given.get(name) for given in inputs])]
    schema = pa.schema([*FIXED, *(pa.field(name, array.type) for name, array in columns)])
    return pa.table([*arrays, *(array for _, array in columns)], schema=schema)


def _input_columns(name: str, values: list[Value]) -> Iterable[tuple[str, pa.Array]]:
    """The field's values, those of each kind in a column of their own."""
    types = set(map(type, values)) - {type(None)}
    kinds = {_KINDS[each] for each in types}
    for kind in sorted(kinds):
        mine = values if len(kinds) == 1 else [v if _KINDS.get(type(v)) == kind else None for v in values]
        yield input_column(kind, name), pa.array(mine, INPUT_TYPES[kind])
