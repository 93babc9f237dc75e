"""From columns of inputs to what models take of them: in SQL, and as a frame, a column at a time.

Under the schema of the version that scored a lead its inputs are of their features' kinds. Under another schema a
number that is a category's input is missing, as is a text that is a number's.
"""

from collections.abc import Set

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from service.lifecycle.relations.columns import InputKind, input_column
from service.lifecycle.relations.relation import literal, quoted
from service.model.choices import joined, parted
from service.model.numbers import as_written
from service.model.schema import Feature, LeadSchema
from service.model.spelling import BLANKS, UNSEEN


def input_columns(schema: LeadSchema) -> list[str]:
    """The columns that hold the inputs of the schema's features, of every kind that is read."""
    return [column for feature in schema.features for column in feature_columns(feature)]


def feature_columns(feature: Feature) -> list[str]:
    """Those of one feature."""
    kinds: tuple[InputKind, ...] = ("text",) if feature.kind == "category" else ("number", "boolean")
    return [input_column(kind, feature.name) for kind in kinds]


def prepared(schema: LeadSchema, table: pa.Table) -> pd.DataFrame:
    """The inputs, prepared as in `service.lifecycle.data.leads`: numbers float64 (NaN: missing), text ("": missing).

    A column that the table lacks is missing throughout.
    """
    columns = {f.name: _texts(f, table) if f.kind == "category" else _numbers(f, table) for f in schema.features}
    return pd.DataFrame(columns, columns=[f.name for f in schema.features])


def cell_in_sql(feature: Feature, columns: Set[str]) -> str:
    """A feature's cell, null where it is missing: a double, or a category's text as it was received.

    `columns` are those that there are.
    """
    texts = feature.kind == "category"
    wanted = "varchar" if texts else "double"
    cells = [f"cast({quoted(name)} as {wanted})" for name in feature_columns(feature) if name in columns]
    cell = f"coalesce({', '.join(cells)})" if len(cells) > 1 else "".join(cells) or f"cast(null as {wanted})"
    cell = as_written_in_sql(cell) if feature.kind == "number" else cell
    absent = [literal(mark) for mark in feature.missing if isinstance(mark, str) == texts]
    absent += ["''"] if texts else []
    return f"case when {cell} in ({', '.join(absent)}) then null else {cell} end" if absent else cell


def as_written_in_sql(number: str) -> str:
    """`service.model.numbers.as_written` of the double.

    Of several decimals that single precision does not tell apart an engine may take one with a digit more.
    """
    # From 2^23 on all numbers of single precision are whole. Spark's floor is no double.
    part = f"abs({number}) > 1e-13 and abs({number}) < 8388608 and {number} <> floor({number})"
    long = f"(abs({number}) >= 1000 or {number} * 1000 <> floor({number} * 1000))"
    single = f"cast(try_cast({number} as float) as double) = {number}"
    shortest = f"cast(cast(cast({number} as float) as varchar) as double)"
    return f"case when {part} and {long} and {single} then {shortest} else {number} end"


def joined_in_sql(cell: str, separator: str) -> str:
    """`joined` of the `parted` cell, null where it holds no choice."""
    return f"nullif(array_to_string({parted_in_sql(cell, separator)}, {literal(separator)}), '')"


def parted_in_sql(cell: str, separator: str) -> str:
    """`service.model.choices.parted` as a list. It costs much: cells that are equal should be parted once."""
    parts = f"list_transform(string_split({clean_in_sql(cell)}, {literal(separator)}), lambda part: trim(part))"
    return f"list_sort(list_distinct(list_filter({parts}, lambda part: part <> '')))"


def clean_in_sql(text: str) -> str:
    """`service.model.spelling.clean`."""
    seen = f"nfc_normalize(regexp_replace({text}, {literal(_any_of(UNSEEN))}, '', 'g'))"
    return f"trim(regexp_replace({seen}, {literal(_any_of(BLANKS) + '+')}, ' ', 'g'))"


def _any_of(characters: str) -> str:
    """A regular expression of both engines': by code points, which neither takes for anything else."""
    return "[" + "".join(f"\\x{{{ord(character):x}}}" for character in characters) + "]"


def _texts(feature: Feature, table: pa.Table) -> npt.NDArray[np.object_]:
    cells = _column(table, "text", feature, pa.string()).combine_chunks().dictionary_encode()
    values = ["" if value in feature.missing else value for value in cells.dictionary.to_pylist()]
    if feature.separator:
        values = [joined(parted(value, feature.separator), feature.separator) for value in values]
    texts: npt.NDArray[np.object_] = np.array([*values, ""], dtype=object)
    return texts.take(np.asarray(cells.indices.fill_null(-1)))


def _numbers(feature: Feature, table: pa.Table) -> npt.NDArray[np.float64]:
    found = [_column(table, kind, feature, pa.float64()) for kind in ("number", "boolean")]
    cells = as_written(pc.coalesce(*found).fill_null(np.nan).to_numpy())
    absent = [mark for mark in feature.missing if not isinstance(mark, str)]
    return np.where(np.isin(cells, absent), np.nan, cells)


def _column(table: pa.Table, kind: InputKind, feature: Feature, wanted: pa.DataType) -> pa.ChunkedArray:
    name = input_column(kind, feature.name)
    if name not in table.column_names:
        return pa.chunked_array([pa.nulls(table.num_rows, wanted)])
    return table[name].cast(wanted)
