"""How good the scores are: figures of the jobs, read back until the next run should have ended."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import Protocol

from monitoring.alerts import Alert, Severity
from monitoring.platform import LEAST_LOOKBACK, Job
from monitoring.promql.text import duration

ticket = partial(Alert, severity=Severity.TICKET, runbook="model-quality.md", hold=timedelta(0))


class FigureQuery(Protocol):
    """PromQL of a figure that a job publishes."""

    def __call__(self, name: str, job: str, labels: str = "", by: str = "") -> str:
        """The largest of its newest values; with `by` of each value of these labels."""


def reader(jobs: Iterable[Job]) -> FigureQuery:
    """Read figures as far back as the gap between runs of their job asks for: each run publishes one sample."""
    back = {job.name: job.lookback for job in jobs}

    def newest(name: str, job: str, labels: str = "", by: str = "") -> str:
        grouped, span = f" by ({by}) " if by else "", duration(back.get(job, LEAST_LOOKBACK))
        return f'max{grouped}(last_over_time(leadscoring_{name}{{job="{job}"{labels}}}[{span}]))'

    return newest


# Labels of the agreed metric's gauges. They are the lead source's own words, and so a part of the notification.
AGREED = "figure, metric_reason, agreed_by"
AUC, CALIBRATION = ',figure="roc_auc"', ',figure="calibration_error"'
YEAR = timedelta(days=365)
FAR_OFF = 0.2
"""Of the conversion rate at training, or of the rate of the others where that is less: from there on a retraining takes
a model with a smaller calibration error (`far_off` of the service's gate)."""
LEADS_TO_JUDGE_BY = 200
"""Twice as many as an evaluation needs: with fewer than 100 the job fails."""
DAYS_OF_CONTACTED = 14
"""Where exploration begins, explored leads stand for half of the leads that an evaluation looks at in so many days."""


def alerts(jobs: Iterable[Job]) -> tuple[Alert, ...]:
    """The alerts of an environment with these jobs."""
    newest = reader(jobs)
    return (*_against_training(newest), *_of_outcomes(newest), *_of_leads(newest))


def _against_training(newest: FigureQuery) -> Iterator[Alert]:
    """Figures of leads with an outcome, or expected of them, beside those at training."""
    yield ticket(
        name="AgreedMetricBelowBenchmark",
        expr=(
            f"{newest('agreed_figure_high', 'evaluate', by=AGREED)}"
            f" < {newest('agreed_benchmark', 'evaluate', by=AGREED)}"
        ),
        summary=(
            "By the metric that people agreed on the served model is worse than at training, beyond chance; the "
            "labels say which metric, why it is that one, and who agreed."
        ),
        panel="The agreed metric",
    )
    yield ticket(
        name="AgreementTooOld",
        expr=(
            f"time() - {newest('agreed_timestamp_seconds', 'evaluate', by='agreed_by')} > {YEAR.total_seconds():.0f}"
        ),
        summary=(
            "People agreed on the metric more than a year ago: ask whom the label names whether it is still right."
        ),
        panel="Age of the agreement",
    )
    yield ticket(
        name="CalibrationBelowBenchmark",
        expr=(
            f"{newest('evaluation_figure_low', 'evaluate', CALIBRATION)}"
            f" > {newest('evaluation_benchmark', 'evaluate', CALIBRATION)}"
            f" + {FAR_OFF} * {newest('evaluation_benchmark_rarer_ratio', 'evaluate')}"
        ),
        summary="Scores are further from what converts than at training, beyond chance: contacts no longer pay.",
        panel="Calibration error",
    )
    yield ticket(
        name="ExpectedRankingBelowFloor",
        expr=(
            f"{newest('expected_figure_high', 'drift', AUC)} < 0.95 * {newest('evaluation_benchmark', 'evaluate', AUC)}"
        ),
        summary="Today's leads let expect a ranking far below training's, weeks before their outcomes can show it.",
        panel="Expected ranking (ROC-AUC)",
    )


def _of_outcomes(newest: FigureQuery) -> Iterator[Alert]:
    """What outcomes tell, and whether they can tell it."""
    yield ticket(
        name="TooFewOutcomes",
        expr=f"{newest('evaluation_leads', 'evaluate')} < {LEADS_TO_JUDGE_BY}",
        summary="Too few leads have a final outcome to judge the model by: the CRM's outcomes stopped coming.",
        panel="Leads to judge by",
    )
    yield ticket(
        name="FiguresOfContactedLeadsOnly",
        expr=f"{newest('evaluation_contacted_only_seconds', 'evaluate')} / 86400 > {DAYS_OF_CONTACTED}",
        summary=(
            f"For {DAYS_OF_CONTACTED} days every evaluation is of contacted leads alone: how good the model is on "
            "all leads, and which good ones it leaves out, nobody can know."
        ),
        panel="Whom the figures are about",
    )
    yield ticket(
        name="ContactsCostMoreThanTheyEarn",
        expr=f"{newest('business_roi_ratio', 'evaluate')} < 0",
        summary="The contacts that the model asked for cost more than they earned.",
        panel="Return on contacts",
    )
    yield ticket(
        name="ChallengersRefused",
        expr=f"{newest('challenger_refused_in_a_row', 'retrain')} >= 3",
        summary="Three new models in a row were refused: retraining no longer helps and somebody must look why.",
        panel="Challengers refused in a row",
    )


def _of_leads(newest: FigureQuery) -> Iterator[Alert]:
    """Leads and scores beside those at training."""
    yield ticket(
        name="LeadsDrifted",
        expr=f"{newest('drift_found', 'drift')} > 0",
        summary="Leads, scores or decisions differ from training beyond chance: the model meets an unknown world.",
        panel="Drift found",
    )
    yield ticket(
        name="ScoresShifted",
        expr=(
            f"{newest('drift_score_distance', 'drift')} > 0.2\nand on ()\n{newest('drift_score_shifted', 'drift')} > 0"
        ),
        summary="The scores are far from those at training: thresholds and bands no longer mean what they say.",
        panel="Distance of the scores",
    )
    yield ticket(
        name="UnseenValues",
        expr=f"{newest('feature_unseen_excess_ratio', 'drift', by='feature')} > 0.05",
        summary="Values rare or new to training are in five more leads of a hundred than there: a field changed.",
        panel="Rare or new values beyond training's",
    )
    yield ticket(
        name="ValuesMissing",
        expr=f"{newest('feature_missing_excess_ratio', 'drift', by='feature')} > 0.1",
        summary="A field is empty in ten more leads of a hundred than at training: an export or a form broke.",
        panel="Values missing beyond training's",
    )
