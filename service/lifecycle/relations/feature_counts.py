"""How many leads have which value of a feature, by a reference's bins and values: what drift is measured from."""

# ruff: noqa: S608 - names and values in the texts are quoted by `relation`

from collections.abc import Iterator, Set

import numpy as np
import pyarrow as pa

from service.lifecycle.relations.prepared import cell_in_sql, joined_in_sql
from service.lifecycle.relations.relation import Relation, literal
from service.model.reference import Categories, Column, Counts, Reference, counts
from service.model.schema import Feature, LeadSchema

NAME = "feature_counts"


def feature_counts(schema: LeadSchema, reference: Reference, columns: Set[str], leads: str) -> Relation:
    """The relation (feature, place, leads): how many rows of `leads` have which place of `reference_profile.count`.

    `feature` is the feature's index in the schema; `columns` are those of `leads`. Places without a lead are left out.
    """
    parts = (
        _counted(index, feature, cell_in_sql(feature, columns), column, leads)
        for index, (feature, column) in enumerate(zip(schema.features, reference.features, strict=True))
    )
    return Relation(NAME, "\nunion all\n".join(parts))


def as_counts(reference: Reference, table: pa.Table) -> list[Counts]:
    """The rows of the relation as one array of counts a feature."""
    found = [np.zeros(len(counts(column)), dtype=np.int64) for column in reference.features]
    for feature, place, leads in zip(*(table[name].to_pylist() for name in ("feature", "place", "leads")), strict=True):
        found[feature][place] += int(leads)
    return found


def _counted(index: int, feature: Feature, cell: str, column: Column, leads: str) -> str:
    last = len(counts(column)) - 1
    place = f"case when cell is null then {last}{''.join(_places(column))} end"
    cells, each = f"select {cell} as cell from {leads}", "count(*)"
    if isinstance(column, Categories):  # cells that are equal are looked up once
        value = joined_in_sql("cell", feature.separator) if feature.separator else "cell"
        distinct = f"select cell, count(*) as leads from ({cells}) as every group by cell"
        cells, each = f"select {value} as cell, leads from ({distinct}) as distinct_cells", "cast(sum(leads) as bigint)"
    counted = f"{index} as feature, {place} as place, {each} as leads"
    return f"select {counted} from ({cells}) as cells group by {place}"


def _places(column: Column) -> Iterator[str]:
    if isinstance(column, Categories):
        yield from (f" when cell = {literal(value)} then {place}" for place, value in enumerate(column.values))
        yield f" else {len(column.values)}"
    else:
        yield from (f" when cell <= {literal(edge)} then {place}" for place, edge in enumerate(column.edges))
        yield f" else {len(column.edges)}"
