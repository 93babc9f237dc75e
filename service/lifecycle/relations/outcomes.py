"""What the files of outcomes say of each lead, and the scored leads whose outcome is final."""

# ruff: noqa: S608 - names and values in the texts are quoted by `relation`

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import pyarrow as pa

from service.lifecycle.relations.bins import bin_in_sql
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

CLIP = 0.002
"""The least probability of a contact that a lead's weight takes into account: no lead weighs more than 500."""

_AT = "coalesce(time, cast('1970-01-01 00:00:00+00:00' as timestamptz))"


def outcomes() -> list[Relation]:
    """`outcomes(lead_key, state, time)`, of `outcome_rows`.

    `time` is the earliest time that a file has for the outcome of this state, null where none has one or the lead is
    open. Of a lead's rows in one file those of the last time hold; where they say two things, the file says nothing of
    the lead. Of several files the last one that says something holds, be it that the lead is open again.
    `contradictions` are the rows that say two things. `outcome_counts` has one row: leads by state.
    """
    return [
        Relation(
            "said",
            f"""
            select file_number, lead_key, {_AT} as latest, max(time) as time, case
                when max(cast(converted as integer)) is null then {OPEN}
                when max(cast(converted as integer)) <> min(cast(converted as integer)) then {CONTRADICTED}
                when max(cast(converted as integer)) = 1 then {CONVERTED} else {LOST} end as state
            from outcome_rows group by file_number, lead_key, {_AT}
            """,
        ),
        Relation(
            "file_outcomes",
            f"""
            select file_number, lead_key, max(latest) as latest, arg_max(state, latest) as state,
                min(case when state = {CONVERTED} then time end) as converted_at,
                min(case when state = {LOST} then time end) as lost_at
            from said group by file_number, lead_key
            """,
        ),
        Relation(
            "outcomes",
            f"""
            select lead_key, state,
                case when state = {CONVERTED} then converted_at when state = {LOST} then lost_at end as time
            from (
                select lead_key, arg_max(state, case when state < {CONTRADICTED} then file_number else -1 end) as state,
                    min(converted_at) as converted_at, min(lost_at) as lost_at
                from file_outcomes group by lead_key
            ) as last_said
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


class LabelRules(NamedTuple):
    """When an outcome is final, and of which leads outcomes are known.

    An outcome is final for leads that were scored by `ripe`. A conversion counts that came within `maturity` of the
    lead's first score; one without a time counts. With `complete` all conversions of leads that were scored by then are
    known: such a lead that no file says converted is lost, and no other lead is labelled.

    With `outcomes_of` "contacted" the outcomes of contacted leads alone are labels. With `contact_log` the leads of
    `contacts` were contacted whose contact has no time, or one from a day before the lead's first score to `maturity`
    after it; without a log those whose record says so. A time at midnight of the `zone` is a date.
    """

    ripe: datetime
    maturity: timedelta
    complete: datetime | None = None
    outcomes_of: Literal["all", "contacted"] = "all"
    contact_log: bool = False
    zone: str = "UTC"

    @property
    def contacted(self) -> str:
        """Whether the lead was contacted for its score: neither long before it, nor when its outcome was final."""
        if not self.contact_log:
            return "first_scores.decision = 'contact'"
        return f"""(contacts.lead_key is not null and coalesce(
            contacts.time >= first_scores.time - interval 1 day
            and contacts.time <= first_scores.time + interval {round(self.maturity.total_seconds())} second, true))"""

    @property
    def is_after(self) -> str:
        """Whether the lead was scored when its outcome was there already: its inputs may tell the outcome.

        One with a date may have come at any time of that day.
        """
        local = "outcomes.time" if self.zone == "UTC" else f"(outcomes.time at time zone {literal(self.zone)})"
        is_date, at = f"{local} = date_trunc('day', {local})", "outcomes.time"
        end = f"case when {is_date} then {at} + interval 1 day else {at} end"
        return f"coalesce({_FINAL} and first_scores.time > {end}, false)"


_FINAL = f"outcomes.state in ({LOST}, {CONVERTED})"


def labelled(columns: Iterable[str], rules: LabelRules) -> list[Relation]:
    """`scored_outcomes`, the leads of `first_scores`, and `labelled`, those whose outcome is final.

    Both have these columns, and: `target`, 1 where the lead converted; `contacted`; `explored`, whether a draw chose
    the lead for contact; `probability`, that of a contact under the record's policy, 1 where none drew; `weight`. Where
    outcomes are those of contacted leads, a lead weighs 1 / max(probability, CLIP), and one that was contacted without
    being chosen is not labelled: sales picked it, with a probability that nobody knows. Leads that were scored after
    their outcome are not labelled. As long as no outcome is known at all none is.

    `judged_leads` are those that figures are of: the labelled ones, and where outcomes are those of contacted leads the
    others of that age too, with a `weight` and a `target` of 0. `judged_leads` has of the above `explored` alone.

    `label_counts` has one row: leads `scored`, `labelled`, `lost` for want of an outcome, `without_outcome` of that
    age, those that outcomes are `known` of, and those that were `scored_after` it. See `selection_counts`.
    """
    chosen = "".join(f"first_scores.{quoted(name)}, " for name in columns)
    said = f"select count(*) from outcomes where state in ({LOST}, {CONVERTED})"
    due, lost, kept = "is_ripe", "false", "is_ripe and is_known"
    if rules.complete is not None:
        within = f"(time_of_score <= {literal(rules.complete)} and ({said}) > 0)"
        due, lost = within, f"{within} and is_counted and coalesce(state, {OPEN}) = {OPEN}"
        kept = f"{within} and coalesce(state, {OPEN}) <> {CONTRADICTED}"
    counted, weight, judged = "not is_after", "cast(1 as double)", "false"
    if rules.outcomes_of == "contacted":
        judged = f"{due} and not is_after"
        counted += " and contacted and is_chosen"
        weight = f"1 / greatest(probability, {literal(CLIP)})"
    names = "".join(f"{quoted(name)}, " for name in columns)
    flags = "is_ripe, is_known, is_after, target, contacted, explored, probability"
    return [
        _first_outcomes(chosen, rules),
        Relation(
            "scored_outcomes",
            f"""
            select {names}{flags}, is_chosen, score_bin, first_score, {weight} as weight,
                is_counted and {kept} as is_labelled, {lost} as is_lost, {judged} as is_judged
            from (select first_outcomes.*, {counted} as is_counted from first_outcomes) as counted_outcomes
            """,
            kept=True,
        ),
        Relation("labelled", "select * from scored_outcomes where is_labelled"),
        _judged_leads(names),
        LABEL_COUNTS,
        SELECTION_COUNTS,
    ]


def _first_outcomes(chosen: str, rules: LabelRules) -> Relation:
    """Each scored lead with what the files say of it, and whether it was contacted."""
    return Relation(
        "first_outcomes",
        f"""
        select {chosen}
            outcomes.state as state,
            first_scores.time as time_of_score,
            first_scores.time <= {literal(rules.ripe)} as is_ripe,
            coalesce({_FINAL}, false) as is_known,
            {rules.is_after} as is_after,
            case when outcomes.state = {CONVERTED} and coalesce(
                outcomes.time <= first_scores.time + interval {round(rules.maturity.total_seconds())} second, true
            ) then 1 else 0 end as target,
            {rules.contacted} as contacted,
            first_scores.decision = 'contact' as is_chosen,
            coalesce(first_scores.policy = 'explore', false) and first_scores.decision = 'contact' as explored,
            coalesce(first_scores.probability, cast(1 as double)) as probability,
            {bin_in_sql("first_scores.score")} as score_bin,
            first_scores.score as first_score
        from first_scores left join outcomes on first_scores.lead_key = outcomes.lead_key
        {"left join contacts on first_scores.lead_key = contacts.lead_key" if rules.contact_log else ""}
        """,
    )


def _judged_leads(names: str) -> Relation:
    return Relation(
        "judged_leads",
        f"""
        select {names}explored, case when is_labelled then target else 0 end as target,
            case when is_labelled then weight else cast(0 as double) end as weight
        from scored_outcomes where is_labelled or is_judged
        """,
    )


LABEL_COUNTS = Relation(
    "label_counts",
    """
    select count(*) as scored,
        count(case when is_labelled then 1 end) as labelled,
        count(case when is_lost then 1 end) as lost,
        count(case when is_ripe and not is_known and not is_lost then 1 end) as without_outcome,
        count(case when is_known then 1 end) as known,
        count(case when is_after then 1 end) as scored_after
    from scored_outcomes
    """,
)
"""Leads by what is known of them: see `labelled`."""

SELECTION_COUNTS = Relation(
    "selection_counts",
    """
    select is_chosen, contacted, explored, score_bin, is_known, is_labelled, count(*) as leads,
        cast(sum(target) as bigint) as converted, sum(first_score) as score_sum,
        sum(weight) as weight_sum, sum(weight * weight) as square_sum, sum(weight * target) as weighted_converted
    from scored_outcomes where is_ripe and not is_after
    group by is_chosen, contacted, explored, score_bin, is_known, is_labelled
    """,
)
"""Leads of an age at which outcomes are final, by what may decide whether they have one.

`is_chosen`: the record says that they are to be contacted. `is_known`: an outcome came. `score_bin` is by `bins`.
The last three are sums over all of them, of which those that are not `is_labelled` have no meaning.
"""
