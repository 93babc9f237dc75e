"""The service level objectives. All their alerts are computed from them."""

from datetime import timedelta
from fractions import Fraction

from monitoring.platform import Job, Platform
from monitoring.promql.text import duration
from monitoring.slos import TICKET_WINDOWS, Distribution, Ratio, Slo

ONE_WEEK = timedelta(weeks=1)
FOUR_WEEKS = timedelta(days=28)  # whole weeks: each period holds as many busy Mondays
SCORED = 'route="/v1/score"'
# Metrics that Google's Managed Service for Prometheus takes, as monitoring filters name them; their labels keep their
# names. https://cloud.google.com/stackdriver/docs/solutions/slo-monitoring/sli-metrics/prometheus
# https://cloud.google.com/monitoring/api/v3/filters
REQUESTS = (
    'resource.type="prometheus_target" AND '
    'metric.type="prometheus.googleapis.com/leadscoring_requests_total/counter" AND metric.label."route"="/v1/score"'
)
DURATIONS = (
    'resource.type="prometheus_target" AND '
    'metric.type="prometheus.googleapis.com/leadscoring_request_duration_seconds/histogram" AND '
    'metric.label."route"="/v1/score"'
)
MLFLOW_REQUESTS = 'resource.type="cloud_run_revision" AND metric.type="run.googleapis.com/request_count"'
STEADY = TICKET_WINDOWS[1:]  # the slowest alone: what is counted in slices of five minutes has no faster one

AVAILABILITY = Slo(
    name="ScoringAvailability",
    objective=Fraction("0.999"),
    period=FOUR_WEEKS,
    # 4xx are the caller's: the lead was understood and refused.
    bad=f'sum(increase(leadscoring_requests_total{{{SCORED},status=~"5.."}}[{{window}}]))',
    total=f"sum(increase(leadscoring_requests_total{{{SCORED}}}[{{window}}]))",
    # At night one failure in three requests is a ratio and no incident; ten failures are one.
    minimum_bad=10,
    symptom="Requests to score leads fail with 5xx and their callers get no score",
    runbook="scoring-availability.md",
    panel="Share of failed requests",
    counted=Ratio(f'{REQUESTS} AND metric.label."status"=monitoring.regex.full_match("5..")', REQUESTS),
)
LATENCY = Slo(
    name="ScoringLatency",
    objective=Fraction("0.99"),
    period=FOUR_WEEKS,
    bad=(
        f"(sum(increase(leadscoring_request_duration_seconds_count{{{SCORED}}}[{{window}}]))"
        f' - sum(increase(leadscoring_request_duration_seconds_bucket{{{SCORED},le="0.25"}}[{{window}}])))'
    ),
    total=f"sum(increase(leadscoring_request_duration_seconds_count{{{SCORED}}}[{{window}}]))",
    minimum_bad=30,
    symptom="Scores take longer than 250 ms and whoever waits for them at a form or a call waits too",
    runbook="scoring-latency.md",
    panel="Share of slow requests",
    counted=Distribution(DURATIONS, 0.25),
)
FRESHNESS = Slo(
    name="ModelFreshness",
    objective=Fraction("0.99"),
    period=FOUR_WEEKS,
    # Slices of five minutes in which some pod had not read the pointer for five minutes.
    bad=("sum_over_time((max(time() - leadscoring_pointer_last_success_timestamp_seconds) > bool 300)[{window}:5m])"),
    total="count_over_time(max(leadscoring_pointer_last_success_timestamp_seconds)[{window}:5m])",
    minimum_bad=6,
    symptom="Pods do not follow the model pointer and a promotion or a roll-back does not reach them",
    runbook="model.md",
    panel="Share of time with a stale pointer",
    windows=STEADY,
)
MLFLOW = Slo(
    name="MlflowAvailability",
    objective=Fraction("0.99"),
    period=FOUR_WEEKS,
    bad=(
        'sum(increase(run_googleapis_com:request_count{monitored_resource="cloud_run_revision",'
        'response_code_class="5xx"}[{window}]))'
    ),
    total=('sum(increase(run_googleapis_com:request_count{monitored_resource="cloud_run_revision"}[{window}]))'),
    minimum_bad=10,
    symptom="MLflow answers with 5xx and neither jobs nor people can record or read a run",
    runbook="mlflow.md",
    panel="Share of MLflow's failed requests",
    windows=TICKET_WINDOWS,  # serving never depends on it
    counted=Ratio(f'{MLFLOW_REQUESTS} AND metric.label."response_code_class"="5xx"', MLFLOW_REQUESTS),
)


def on_time(name: str, job: Job, symptom: str) -> Slo:
    """Nineteen of twenty slices of five minutes see a success of the job that is no older than it may be.

    Slices before the first success do not count: a new environment has not broken a promise of four weeks.
    """
    success = f'max_over_time(leadscoring_job_last_success_timestamp_seconds{{job="{job.name}"}}'
    late = (
        f"vector(1) unless on () max({success}[{duration(job.deadline)}])) > time() - "
        f"{job.deadline.total_seconds():.0f} and on () max({success}[{duration(job.deadline + ONE_WEEK)}]))"
    )
    return Slo(
        name=name,
        objective=Fraction("0.95"),
        period=FOUR_WEEKS,
        bad=f"sum_over_time(({late})[{{window}}:5m])",
        total="count_over_time(vector(1)[{window}:5m])",
        minimum_bad=None,  # there are always 288 slices a day
        symptom=symptom,
        runbook="jobs.md",
        panel="Share of time without a result",
        windows=STEADY,
    )


def slos(platform: Platform) -> tuple[Slo, ...]:
    """Every promise; those about a job only where the job is scheduled."""
    jobs = {job.name: job for job in platform.jobs}
    promised = {
        "evaluate": ("EvaluationOnTime", "Evaluations come late and nobody knows how good the served model is"),
        "drift": ("DriftOnTime", "Drift checks come late and leads may have changed unnoticed"),
    }
    return (
        AVAILABILITY,
        LATENCY,
        FRESHNESS,
        MLFLOW,
        *(on_time(name, jobs[job], symptom) for job, (name, symptom) in promised.items() if job in jobs),
    )
