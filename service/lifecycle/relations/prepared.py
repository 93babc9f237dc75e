"""Leads from columns of inputs to the frame that models take, a column at a time."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from service.lifecycle.relations.columns import InputKind, input_column
from service.model.schema import Feature, LeadSchema


def input_columns(schema: LeadSchema) -> list[str]:
    """The columns that hold the inputs of the schema's features, of every kind that is read."""
    return [input_column(kind, f.name) for f in schema.features for kind in kinds(f)]


def prepared(schema: LeadSchema, table: pa.Table) -> pd.DataFrame:
    """The inputs, prepared as in `service.lifecycle.data.leads`: numbers float64 (NaN: missing), text ("": missing).

    A column that the table lacks is missing throughout.
    """
    columns = {f.name: _texts(f, table) if f.kind == "category" else _numbers(f, table) for f in schema.features}
    return pd.DataFrame(columns, columns=[f.name for f in schema.features])


def kinds(feature: Feature) -> tuple[InputKind, ...]:
    """The kinds of input values that a feature is read from."""
    return ("text",) if feature.kind == "category" else ("number", "boolean")


def _texts(feature: Feature, table: pa.Table) -> npt.NDArray[np.object_]:
    cells = _column(table, "text", feature, pa.string()).combine_chunks().dictionary_encode()
    values = ["" if value in feature.missing else value for value in cells.dictionary.to_pylist()]
    texts: npt.NDArray[np.object_] = np.array([*values, ""], dtype=object)
    return texts.take(np.asarray(cells.indices.fill_null(-1)))


def _numbers(feature: Feature, table: pa.Table) -> npt.NDArray[np.float64]:
    found = [_column(table, kind, feature, pa.float64()) for kind in ("number", "boolean")]
    cells: npt.NDArray[np.float64] = pc.coalesce(*found).fill_null(np.nan).to_numpy()
    absent = [mark for mark in feature.missing if not isinstance(mark, str)]
    return np.where(np.isin(cells, absent), np.nan, cells)


def _column(table: pa.Table, kind: InputKind, feature: Feature, wanted: pa.DataType) -> pa.ChunkedArray:
    name = input_column(kind, feature.name)
    if name not in table.column_names:
        return pa.chunked_array([pa.nulls(table.num_rows, wanted)])
    return table[name].cast(wanted)
