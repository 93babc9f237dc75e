"""Relations in Spark's SQL, in the order in which they can be made."""

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter

import pyarrow as pa
import sqlglot
from sqlglot import ErrorLevel, exp

from service.lifecycle.relations.relation import Relation

_TYPES = {
    pa.string(): "string",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.int64(): "bigint",
    pa.int32(): "int",
    pa.timestamp("us", "UTC"): "timestamp",
}


_DIFFERENT = (
    *(exp.Anonymous, exp.Rand),  # a function that sqlglot does not know: Spark has none of its name, or another
    *(exp.Round, exp.Log, exp.Stddev, exp.StddevSamp, exp.StddevPop, exp.Variance, exp.VariancePop, exp.Corr),
    *(exp.Quantile, exp.PercentileCont, exp.PercentileDisc, exp.Median, exp.ApproxDistinct),
    *(exp.First, exp.Last, exp.AnyValue, exp.Mode, exp.GroupConcat, exp.Upper),
)
"""What DuckDB and Spark give other values for, in the last bits, in ties or in whole."""


REGISTERED = frozenset({"nfc_normalize"})
"""Functions of DuckDB's that `spark_main` gives to Spark."""


def in_spark(query: str) -> str:
    """DuckDB's query in the SQL of Spark 3.5 and later. Raises ValueError where the two would not give the same."""
    tree = _parsed(query)
    found = (each for each in tree.find_all(*_DIFFERENT) if not _registered(each))
    if differs := next(found, None):
        raise ValueError(f"DuckDB and Spark differ in {differs.sql(dialect='duckdb')}: {query}")
    return tree.sql(dialect="spark", unsupported_level=ErrorLevel.RAISE)


def needed(relations: Mapping[str, Relation], results: Sequence[str]) -> list[Relation]:
    """The relations that the results are computed from, each after those that it reads."""
    read: dict[str, set[str]] = {}
    waiting = [name for name in results if name in relations]
    while waiting:
        name = waiting.pop()
        if name not in read:
            read[name] = tables(relations[name].query) & relations.keys() - {name}
            waiting += read[name]
    return [relations[name] for name in TopologicalSorter(read).static_order()]


def tables(query: str) -> set[str]:
    """What a query reads, names of its own among it."""
    return {table.name for table in _parsed(query).find_all(exp.Table)}


def spark_type(kind: pa.DataType) -> str:
    """The type in Spark's DDL. Raises ValueError for one that no table of the jobs has."""
    if kind not in _TYPES:
        raise ValueError(f"no type of Spark is known for {kind}")
    return _TYPES[kind]


def _registered(called: exp.Expr) -> bool:
    return isinstance(called, exp.Anonymous) and called.name.lower() in REGISTERED


def _parsed(query: str) -> exp.Expr:
    return sqlglot.parse_one(query, read="duckdb")
