"""What the files of outcomes say of each lead, and the scored leads whose outcome is final."""

# ruff: noqa: S608 - names and values in the texts are quoted by `relation`

from collections.abc import Iterable
from datetime import datetime

import pyarrow as pa

from service.lifecycle.relations.relation import Relation, literal, quoted

LOST, CONVERTED, OPEN, CONTRADICTED = range(4)
"""The states of a lead."""

OUTCOME_ROWS = pa.schema(
    [
        ("lead_key", pa.string()),
        ("converted", pa.bool_()),
        ("time", pa.timestamp("us", "UTC")),
        ("file_number", pa.int32()),
        ("row", pa.int64()),
        ("id_text", pa.string()),
        ("outcome_text", pa.string()),
    ]
)
"""The table `outcome_rows`: the rows of all files, of which the later ones have the higher `file_number`.

`converted` is null where the row says that the lead is open; `time` is null where the files have no times. The two
texts are the cells as the file has them.
"""

_AT = "coalesce(time, cast('1970-01-01 00:00:00+00:00' as timestamptz))"


def outcomes() -> list[Relation]:
    """`outcomes(lead_key, state)`, of `outcome_rows`.

    Of a lead's rows in one file those of the last time hold; where they say two things, the file says nothing of the
    lead. Of several files the last one that says something holds, be it that the lead is open again.
    `contradictions` are the rows that say two things. `outcome_counts` has one row: leads by state.
    """
    return [
        Relation(
            "said",
            f"""
            select file_number, lead_key, {_AT} as latest, case
                when max(cast(converted as integer)) is null then {OPEN}
                when max(cast(converted as integer)) <> min(cast(converted as integer)) then {CONTRADICTED}
                when max(cast(converted as integer)) = 1 then {CONVERTED} else {LOST} end as state
            from outcome_rows group by file_number, lead_key, {_AT}
            """,
        ),
        Relation(
            "file_outcomes",
            """
            select file_number, lead_key, max(latest) as latest, arg_max(state, latest) as state
            from said group by file_number, lead_key
            """,
        ),
        Relation(
            "outcomes",
            f"""
            select lead_key, arg_max(state, case when state < {CONTRADICTED} then file_number else -1 end) as state
            from file_outcomes group by lead_key
            """,
            kept=True,
        ),
        Relation(
            "contradictions",
            f"""
            select outcome_rows.* from outcome_rows join file_outcomes
            on outcome_rows.file_number = file_outcomes.file_number and outcome_rows.lead_key = file_outcomes.lead_key
            where file_outcomes.state = {CONTRADICTED}
            and coalesce(outcome_rows.time, file_outcomes.latest) = file_outcomes.latest
            """,
        ),
        Relation("outcome_counts", "select state, count(*) as leads from outcomes group by state"),
    ]


def labelled(columns: Iterable[str], ripe: datetime, complete: datetime | None) -> list[Relation]:
    """`labelled`: those of `first_scores` whose outcome is final, with these of their columns, `target` and `weight`.

    `target` is 1 where the lead converted. An outcome is final for leads that were scored by `ripe`. With `complete`
    all conversions of leads that were scored by then are known: such a lead that no file says converted is lost, and
    no other lead is labelled. As long as no outcome is known at all none is. `label_counts` has one row: leads
    `scored`, `labelled`, `lost` for want of an outcome, `without_outcome` of that age, and those that outcomes are
    `known` of.
    """
    known = f"coalesce(outcomes.state, {OPEN}) in ({LOST}, {CONVERTED})"
    lost = "false"
    kept = f"first_scores.time <= {literal(ripe)} and {known}"
    if complete is not None:
        said = f"select count(*) from outcomes where state in ({LOST}, {CONVERTED})"
        within = f"(first_scores.time <= {literal(complete)} and ({said}) > 0)"
        lost = f"{within} and coalesce(outcomes.state, {OPEN}) = {OPEN}"
        kept = f"{within} and coalesce(outcomes.state, {OPEN}) <> {CONTRADICTED}"
    chosen = "".join(f"first_scores.{quoted(name)}, " for name in columns)
    return [
        Relation(
            "scored_outcomes",
            f"""
            select {chosen}
                {kept} as is_labelled,
                {lost} as is_lost,
                {known} as is_known,
                first_scores.time <= {literal(ripe)} as is_ripe,
                case when outcomes.state = {CONVERTED} then 1 else 0 end as target,
                cast(1 as double) as weight
            from first_scores left join outcomes on first_scores.lead_key = outcomes.lead_key
            """,
            kept=True,
        ),
        Relation("labelled", "select * from scored_outcomes where is_labelled"),
        Relation(
            "label_counts",
            """
            select count(*) as scored,
                count(case when is_labelled then 1 end) as labelled,
                count(case when is_lost then 1 end) as lost,
                count(case when is_ripe and not is_known and not is_lost then 1 end) as without_outcome,
                count(case when is_known then 1 end) as known
            from scored_outcomes
            """,
        ),
    ]
