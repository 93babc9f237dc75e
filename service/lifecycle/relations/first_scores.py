"""The first score of each lead: the one that people acted on."""

# ruff: noqa: S608 - names and values in the texts are quoted by `relation`

from datetime import datetime

from service.lifecycle.relations.relation import Relation, literal
from service.records import TRIALS

_LEAD = " and ".join(
    [
        "coalesce(channel, 'api') <> 'trial'",
        *(f"substr(lead_id, 1, {len(prefix)}) <> {literal(prefix)}" for prefix in TRIALS),
        "coalesce(role, 'champion') <> 'shadow'",
    ]
)
"""Records of leads as they were answered: no trial, no score of a shadow model."""


def first_scores(since: datetime) -> list[Relation]:
    """`first_scores`: of each lead that was first scored in the window, which begins at `since`, its first record.

    The earliest record of a lead holds; of several of that time the least by request, then by version, score and id. A
    lead that was scored before the window is left out: who scores the same leads again each night judges each once.
    `record_counts(channel, records, leads)` counts all records of the window, and those that are no trial and no score
    of a shadow model.
    """
    return [
        Relation("lead_records", f"select * from records where {_LEAD}"),
        Relation(
            "first_scores",
            f"""
            select lead_records.* from lead_records
            where not exists (
                select 1 from first_seen
                where first_seen.lead_key = lead_records.lead_key and first_seen.time < {literal(since)}
            )
            qualify row_number() over (
                partition by lead_records.lead_key
                order by
                    lead_records.time, lead_records.request_id, lead_records.model_version, lead_records.score,
                    lead_records.lead_id
            ) = 1
            """,
        ),
        Relation(
            "record_counts",
            f"select channel, count(*) as records, count(case when {_LEAD} then 1 end) as leads "
            "from records group by channel",
        ),
    ]
