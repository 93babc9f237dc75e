"""Which leads were contacted, and when; and which groups they are in."""

# ruff: noqa: S608 - names and values in the texts are quoted by `relation`

from collections.abc import Sequence

import pyarrow as pa

from service.lifecycle.relations.relation import Relation, literal

CONTACT_ROWS = pa.schema(
    [
        ("lead_key", pa.string()),
        ("time", pa.timestamp("us", "UTC")),
        ("file_number", pa.int32()),
        ("row", pa.int64()),
    ]
)
"""The table `contact_rows`: the rows of all files. `time` is null where a row has none."""

CONTACTS = Relation(
    "contacts",
    """
    select contact_rows.lead_key, coalesce(
        min(case when contact_rows.time >= first_scores.time - interval 1 day then contact_rows.time end),
        min(contact_rows.time)
    ) as time
    from contact_rows left join first_scores on contact_rows.lead_key = first_scores.lead_key
    group by contact_rows.lead_key
    """,
)
"""`contacts(lead_key, time)`, of `contact_rows` and `first_scores`: all leads that were ever contacted, once.

`time` is that of the first contact after the lead's first score, else of its first contact; null where no row has one.
A contact up to a day before the score counts as after it, for a time in a file may be a date.
"""

GROUP_ROWS = pa.schema(
    [
        ("lead_key", pa.string()),
        ("name", pa.string()),
        ("value", pa.string()),
        ("file_number", pa.int32()),
        ("row", pa.int64()),
    ]
)
"""The table `group_rows`: for each row of a file and each of the source's groups that it has a value of."""


def groups(names: Sequence[str]) -> list[Relation]:
    """`group_counts`, of `group_rows` and `scored_outcomes` with a `lead_key`, for each group and value of these names.

    Counted are leads of an age at which outcomes are final; "" is the value of those that no row has one of, and the
    last row holds of several. The sums are over the `labelled` ones.
    """
    listed = " union all ".join(f"select {literal(name)} as name" for name in names)
    known = "sum(case when is_labelled then {} else 0 end)"
    return [
        Relation(
            "group_values",
            """
            select lead_key, name, arg_max(value, cast(file_number as bigint) * 1000000000 + row) as value
            from group_rows group by lead_key, name
            """,
        ),
        Relation(
            "group_counts",
            f"""
            select names.name as name, coalesce(value, '') as value, count(*) as leads,
                count(case when contacted then 1 end) as contacted, count(case when is_labelled then 1 end) as labelled,
                {known.format("weight")} as weight_sum, {known.format("weight * weight")} as square_sum,
                {known.format("weight * target")} as weighted_converted,
                {known.format("weight * first_score")} as weighted_score
            from scored_outcomes cross join ({listed}) as names
            left join group_values
            on scored_outcomes.lead_key = group_values.lead_key and names.name = group_values.name
            where is_ripe and not is_after group by names.name, coalesce(value, '')
            """,
        ),
    ]
