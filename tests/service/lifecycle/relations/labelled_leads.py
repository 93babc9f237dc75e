"""Labelled leads in DuckDB, as the relations find them."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from service.lifecycle.relations.columns import input_column
from service.lifecycle.relations.relation import Relation, Write, quoted
from service.lifecycle.relations.sampling import OWN_LEADS
from service.records import RecordError


class Tables:
    """An engine without records: the tables that a test gives it."""

    def __init__(self, **tables: pa.Table) -> None:
        self.connection = duckdb.connect()
        self.broken: list[tuple[str, RecordError]] = []
        self.connection.execute("set timezone = 'UTC'")
        self.columns = frozenset(name for table in tables.values() for name in table.column_names)
        for name, table in tables.items():
            self.connection.register(name, table)

    def define(self, relations: Iterable[Relation]) -> None:
        for name, query, _ in relations:
            self.connection.execute(f"create or replace temp view {quoted(name)} as {query}")

    def writing(self, name: str, schema: pa.Schema) -> AbstractContextManager[Write]:
        raise NotImplementedError

    def results(self, names: Sequence[str]) -> dict[str, pa.Table]:
        return {name: self.connection.sql(f"select * from {quoted(name)}").to_arrow_table() for name in names}


def labelled_table(
    keys: Sequence[str],
    microseconds: npt.ArrayLike,
    target: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    **inputs: Any,
) -> pa.Table:
    """The relation `labelled`; inputs of numbers or texts by name."""
    weighing = np.ones(len(keys)) if weights is None else np.asarray(weights, dtype=np.float64)
    columns = {
        "lead_key": pa.array(keys, pa.string()),
        "lead_id": pa.array(keys, pa.string()),
        "time": pa.array(np.asarray(microseconds, dtype=np.int64)).cast(pa.timestamp("us", "UTC")),
        "target": pa.array(np.asarray(target, dtype=np.int32)),
        "weight": pa.array(weighing),
        "explored": pa.array(weighing > 1),
    }
    for name, cells in inputs.items():
        array = pa.array(cells)
        columns[input_column("text" if pa.types.is_string(array.type) else "number", name)] = array
    return pa.table(columns)


def own_leads(*keys: str) -> pa.Table:
    """The relation of the keys that are known otherwise."""
    return pa.table([pa.array(keys, pa.string())], schema=OWN_LEADS)
