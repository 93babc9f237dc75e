"""Judged leads in cells: all that the figures of a version, its bands and its segments are computed from.

The relations read `judged_leads`, and `lines`, which has a row for each version: its `threshold`, and as `capacity` how
many of 1,000 leads the team can contact. All are additive over leads.
"""

# ruff: noqa: S608 - names and values in the texts are quoted by `relation`

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pyarrow as pa

from service.lifecycle.relations.bins import bin_in_sql, latency_bin_in_sql
from service.lifecycle.relations.prepared import cell_in_sql, feature_columns, parted_in_sql
from service.lifecycle.relations.relation import Relation, literal
from service.model.schema import Feature, LeadSchema

LINES = pa.schema([("model_version", pa.string()), ("threshold", pa.float64()), ("capacity", pa.float64())])
NEAR = 0.1
"""A score is near the threshold within this share of it: a little more or less, and the decision is the other."""

CELL = "bin, above, decided, explored, target, weight"
"""What leads of one cell have in common besides version, band and segment. `decided` are leads to contact for their
score, not those that were `explored`. Leads without a label have a `weight` of 0."""

_DAY = "date_trunc('day', time)"
"""The day of a lead's first score, in UTC: the engines' zone."""

_SUMS = """
    sum(1e0) as leads, sum(score) as score_sum, min(score) as least, max(score) as most,
    sum(case when near then 1e0 else 0e0 end) as near, sum(made) as contacts
"""


def cells() -> list[Relation]:
    """`cells(model_version, band, <CELL>, leads, score_sum, least, most, near, contacts)`, `cuts`,
    `latencies` and `exploring`.

    `near` are leads near the threshold. `contacts` are what the team makes: each day the best of the leads decided on,
    as many as it can of that day's leads, and of the last score that it reaches a share. `cuts` says for each version
    and day which score that is, and the share; where there is no row it makes all.

    `exploring(model_version, since, until)` are the first scores of a version's first explored lead with an outcome,
    null where there is none, and of its last lead.
    """
    return [*_capacities(), *_cuts(), *_cells()]


_RUNNING = "rows between unbounded preceding and current row"


def _capacities() -> list[Relation]:
    return [
        Relation(
            "binned",
            f"""
            select judged_leads.*, {bin_in_sql("score")} as bin, {_DAY} as day,
                decision = 'contact' and not explored as decided
            from judged_leads
            """,
            kept=True,
        ),
        Relation(
            # What a day's capacity has beyond whole contacts, the next day has.
            "capacities",
            f"""
            select model_version, day,
                floor(capacity * reached / 1000) - floor(capacity * (reached - leads) / 1000) as most
            from (
                select model_version, day, capacity, leads,
                    sum(leads) over (partition by model_version order by day {_RUNNING}) as reached
                from (
                    select binned.model_version, day, max(capacity) as capacity, sum(1e0) as leads
                    from binned join lines on binned.model_version = lines.model_version
                    group by binned.model_version, day
                ) as days
            ) as running
            """,
        ),
    ]


def _cuts() -> list[Relation]:
    by_day = "one.model_version = other.model_version and one.day = other.day"
    return [
        Relation(
            "bin_sums",
            f"""
            select model_version, day, bin, wanted,
                sum(wanted) over (partition by model_version, day order by bin desc {_RUNNING}) as reached
            from (
                select model_version, day, bin, sum(1e0) as wanted
                from binned where decided group by model_version, day, bin
            ) as sums
            """,
        ),
        Relation(
            "cut_bins",
            f"""
            select one.model_version, one.day, bin, most, reached - wanted as before
            from bin_sums as one join capacities as other on {by_day}
            where reached > most and reached - wanted <= most
            """,
        ),
        Relation(
            "cut_scores",
            f"""
            select model_version, day, score, wanted, most,
                before + sum(wanted) over (partition by model_version, day order by score desc {_RUNNING}) as reached
            from (
                select one.model_version, one.day, score, sum(1e0) as wanted, max(most) as most, max(before) as before
                from binned as one join cut_bins as other on {by_day} and one.bin = other.bin
                where decided group by one.model_version, one.day, score
            ) as sums
            """,
        ),
        Relation(
            "cuts",
            """
            select model_version, day, score as cut, (most - (reached - wanted)) / wanted as share
            from cut_scores where reached > most and reached - wanted <= most
            """,
            kept=True,
        ),
    ]


def _cells() -> list[Relation]:
    return [
        Relation(
            "placed",
            f"""
            select binned.*, score >= threshold as above,
                abs(score - threshold) <= {literal(NEAR)} * threshold as near,
                case when not decided then 0e0 when score > coalesce(cut, -1) then 1e0
                    when score = cut then share else 0e0 end as made
            from binned join lines on binned.model_version = lines.model_version
            left join cuts on binned.model_version = cuts.model_version and binned.day = cuts.day
            """,
        ),
        Relation(
            "cells", f"select model_version, band, {CELL}, {_SUMS} from placed group by model_version, band, {CELL}"
        ),
        Relation(
            "latencies",
            f"""
            select model_version, {latency_bin_in_sql("latency_ms")} as step, sum(1e0) as leads,
                sum(latency_ms) as milliseconds, max(latency_ms) as most
            from judged_leads where weight > 0 and latency_ms is not null
            group by model_version, {latency_bin_in_sql("latency_ms")}
            """,
        ),
        Relation(
            "exploring",
            """
            select model_version, min(case when explored and weight > 0 then time end) as since, max(time) as until
            from judged_leads group by model_version
            """,
        ),
    ]


def segment_columns(schemas: Iterable[LeadSchema], columns: frozenset[str]) -> list[str]:
    """Those of the records' columns that hold the categories and booleans of these schemas."""
    features = (feature for schema in schemas for feature in schema.features if feature.kind != "number")
    wanted = {column for feature in features for column in feature_columns(feature)}
    return sorted(wanted & columns)


def segments(
    schemas: Mapping[str, LeadSchema], columns: frozenset[str], min_share: float, min_outcomes: int
) -> list[Relation]:
    """`segment_cells(model_version, feature, value, <CELL>, leads, ...)` of the large segments of each version.

    A segment is a value of a category or boolean of the version's own schema, "" where it is missing; where cells may
    hold several choices, there is one for each choice. Large ones have at least `min_share` of the version's leads, and
    `min_outcomes` leads of each outcome.
    """
    found = [
        _Segmented(number, versions, feature, cell_in_sql(feature, columns))
        for number, (schema, versions) in enumerate(_by_schema(schemas).items())
        for feature in schema.features
        if feature.kind != "number"
    ]
    none = f"select model_version, '' as feature, '' as value, {CELL}, near, made, score from placed where false"
    no_choice = "select 0 as schema_number, '' as feature, '' as cell, '' as choice from placed where false"
    choices = [each.choices(each.feature.separator) for each in found if each.feature.separator]
    return [
        Relation("segment_choices", " union all ".join([no_choice, *choices]), kept=True),
        Relation("segment_leads", " union all ".join([none, *(each.leads() for each in found)])),
        Relation(
            "large_segments",
            f"""
            select counts.model_version, feature, value from (
                select model_version, feature, value, sum(1e0) as leads, sum(target) as converted,
                    sum(case when weight > 0 then 1 - target else 0 end) as others
                from segment_leads group by model_version, feature, value
            ) as counts
            join (select model_version, sum(1e0) as leads from binned group by model_version) as totals
            on counts.model_version = totals.model_version
            where counts.leads / totals.leads >= {literal(min_share)}
            and least(converted, others) >= {min_outcomes}
            """,
            kept=True,
        ),
        Relation(
            "segment_cells",
            f"""
            select segment_leads.model_version, segment_leads.feature, segment_leads.value, {CELL}, {_SUMS}
            from segment_leads join large_segments
            on segment_leads.model_version = large_segments.model_version
            and segment_leads.feature = large_segments.feature and segment_leads.value = large_segments.value
            group by segment_leads.model_version, segment_leads.feature, segment_leads.value, {CELL}
            """,
        ),
    ]


def _by_schema(schemas: Mapping[str, LeadSchema]) -> dict[LeadSchema, list[str]]:
    """The versions of each schema: a retrained model has that of the one before."""
    found: dict[LeadSchema, list[str]] = {}
    for version, schema in schemas.items():
        found.setdefault(schema, []).append(version)
    return found


class _Segmented(NamedTuple):
    """A feature of the `number`-th schema, whose values are segments of its versions, and its cell in SQL."""

    number: int
    versions: list[str]
    feature: Feature
    cell: str

    @property
    def _where(self) -> str:
        return f"where placed.model_version in ({', '.join(map(literal, self.versions))})"

    def leads(self) -> str:
        """The versions' leads, each with the value of its cell, or once for each of its choices."""
        values, joins = f"coalesce({self.cell}, '')", ""
        if self.feature.kind == "boolean":  # the engines write numbers in two ways
            values = f"case when {self.cell} = 1 then '1.0' when {self.cell} = 0 then '0.0' else '' end"
        if self.feature.separator:
            values = "coalesce(choice, '')"
            joins = f"""left join segment_choices on segment_choices.schema_number = {self.number}
                and segment_choices.feature = {literal(self.feature.name)} and segment_choices.cell = {self.cell}"""
        return f"""select placed.model_version, {literal(self.feature.name)} as feature, {values} as value,
            {CELL}, near, made, score from placed {joins} {self._where}"""

    def choices(self, separator: str) -> str:
        """The choices in the cells of the versions' leads; equal cells are parted once."""
        distinct = f"select distinct {self.cell} as cell from placed {self._where}"
        return f"""select {self.number} as schema_number, {literal(self.feature.name)} as feature, cell,
            unnest({parted_in_sql("cell", separator)}) as choice from ({distinct}) as distinct_cells"""
