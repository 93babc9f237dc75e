"""The model in service: is it the one that was promoted, in every pod, and not too old?"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from monitoring.alerts import Alert, Severity
from monitoring.platform import LEAST_LOOKBACK, Job
from monitoring.promql.text import duration

ticket = partial(Alert, severity=Severity.TICKET, runbook="model.md")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
OLDEST_MODEL = 45 * DAY
POINTER_READ = "leadscoring_pointer_last_success_timestamp_seconds"


def moment(what: str, jobs: Sequence[Job]) -> str:
    """When the served model was "trained" or "promoted", as `evaluate` or a retraining published it last."""
    back = next((job.lookback for job in jobs if job.name == "evaluate"), LEAST_LOOKBACK)
    return f"max(max_over_time(leadscoring_champion_{what}_timestamp_seconds[{duration(back)}]))"


def alerts(jobs: Sequence[Job]) -> tuple[Alert, ...]:
    """The alerts of an environment with these jobs."""
    promoted, trained = (moment(what, jobs) for what in ("promoted", "trained"))
    return (
        ticket(
            name="ModelPointerUnread",
            expr=f"max(time() - {POINTER_READ}) > 600",
            hold=5 * MINUTE,
            summary="A pod could not read the model pointer for ten minutes: no promotion or roll-back reaches it.",
            panel="Age of the pointer's last reading",
        ),
        ticket(
            name="ModelMovedNotLoaded",
            expr=f"min(leadscoring_model_loaded_timestamp_seconds > 0) < {promoted}",
            hold=15 * MINUTE,
            summary="A model was promoted and some pod still scores with the one before: sales get two opinions.",
            panel="Time since promotion and loading",
        ),
        ticket(
            name="ModelBundleRefused",
            expr="sum by (reason) (increase(leadscoring_bundle_refused_total[1h])) > 0",
            hold=0 * MINUTE,
            summary="The newest model was refused as not good, and the old one keeps scoring the leads.",
            panel="Bundles refused",
        ),
        ticket(
            name="ModelTooOld",
            expr=f"time() - {trained} > {OLDEST_MODEL.total_seconds():.0f}",
            hold=60 * MINUTE,
            summary="The served model was trained more than 45 days ago: sales work by an old picture of their leads.",
            panel="Age of the model",
        ),
        ticket(
            name="PodsDisagreeOnModel",
            expr="count(count by (version) (leadscoring_model_info == 1)) > 1",
            hold=15 * MINUTE,
            summary="Pods have served different models for 15 minutes: the same lead gets two scores.",
            panel="Different models in service",
        ),
    )
