"""Questions that many ask, each with the SQL that answers it."""

from typing import NamedTuple


class Example(NamedTuple):
    """A question and its SQL."""

    question: str
    sql: str


EXAMPLES = {
    "conversions": Example(
        "Leads and conversions by week and band: do high scores convert?",
        """\
select cast(date_trunc('week', time) as date) as week, band, count(*) as leads,
    count(converted) as with_outcome, count(*) filter (converted) as converted,
    round(avg(cast(converted as integer)), 4) as conversion_rate, round(avg(score), 4) as mean_score
from leads left join outcomes using (lead_key)
group by week, band
order by week, band""",
    ),
    "channels": Example(
        "Scores by day, channel and version: did traffic or scores move?",
        """\
select cast(time as date) as day, coalesce(channel, 'unknown') as channel, model_version, count(*) as records,
    round(avg(score), 4) as mean_score, round(avg(cast(decision = 'contact' as integer)), 4) as contacted
from predictions
group by day, channel, model_version
order by day, channel, model_version""",
    ),
    "versions": Example(
        "ROC-AUC of each version by evaluation: does the model still rank as in training?",
        """\
select time, model_version, leads, converted, round(value, 4) as roc_auc, round(low, 4) as low,
    round(high, 4) as high, round(at_training, 4) as at_training
from evaluations
where figure = 'roc_auc'
order by time, model_version""",
    ),
}
