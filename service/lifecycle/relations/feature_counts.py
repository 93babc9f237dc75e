"""How many leads have which value of a feature, by a reference's bins and values: what drift is measured from."""

# ruff: noqa: S608 - names and values in the texts are quoted by `relation`

from collections.abc import Iterator, Set

import numpy as np
import pyarrow as pa

from service.lifecycle.relations.columns import input_column
from service.lifecycle.relations.prepared import kinds
from service.lifecycle.relations.relation import Relation, literal, quoted
from service.model.reference import Categories, Column, Counts, Reference, counts
from service.model.schema import Feature, LeadSchema

NAME = "feature_counts"


def feature_counts(schema: LeadSchema, reference: Reference, columns: Set[str], leads: str) -> Relation:
    """The relation (feature, place, leads): how many rows of `leads` have which place of `reference_profile.count`.

    `feature` is the feature's index in the schema; `columns` are those of `leads`. Places without a lead are left out.
    """
    parts = (
        _counted(index, prepared_sql(feature, columns), column, leads)
        for index, (feature, column) in enumerate(zip(schema.features, reference.features, strict=True))
    )
    return Relation(NAME, "\nunion all\n".join(parts))


def as_counts(reference: Reference, table: pa.Table) -> list[Counts]:
    """The rows of the relation as one array of counts a feature."""
    found = [np.zeros(len(counts(column)), dtype=np.int64) for column in reference.features]
    for feature, place, leads in zip(*(table[name].to_pylist() for name in ("feature", "place", "leads")), strict=True):
        found[feature][place] += int(leads)
    return found


def prepared_sql(feature: Feature, columns: Set[str]) -> str:
    """SQL of a feature's value, null where it is missing; else as `service.lifecycle.relations.prepared` gives it."""
    texts = feature.kind == "category"
    found = [name for kind in kinds(feature) if (name := input_column(kind, feature.name)) in columns]
    wanted = "varchar" if texts else "double"
    cells = [f"cast({quoted(name)} as {wanted})" for name in found]
    cell = f"coalesce({', '.join(cells)})" if len(cells) > 1 else "".join(cells) or f"cast(null as {wanted})"
    absent = [literal(mark) for mark in feature.missing if isinstance(mark, str) == texts]
    absent += ["''"] if texts else []
    return f"case when {cell} in ({', '.join(absent)}) then null else {cell} end" if absent else cell


def _counted(index: int, cell: str, column: Column, leads: str) -> str:
    last = len(counts(column)) - 1
    place = f"case when cell is null then {last}{''.join(_places(column))} end"
    cells, each = f"select {cell} as cell from {leads}", "count(*)"
    if isinstance(column, Categories):  # each value is looked up once
        cells, each = (
            f"select cell, count(*) as leads from ({cells}) as every group by cell",
            "cast(sum(leads) as bigint)",
        )
    counted = f"{index} as feature, {place} as place, {each} as leads"
    return f"select {counted} from ({cells}) as cells group by {place}"


def _places(column: Column) -> Iterator[str]:
    if isinstance(column, Categories):
        yield from (f" when cell = {literal(value)} then {place}" for place, value in enumerate(column.values))
        yield f" else {len(column.values)}"
    else:
        yield from (f" when cell <= {literal(edge)} then {place}" for place, edge in enumerate(column.edges))
        yield f" else {len(column.edges)}"
