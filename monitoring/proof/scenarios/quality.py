"""Stories of the scores. A job's figure is one sample a day in the cloud, and stays on the page where it is scraped."""

from datetime import timedelta

from monitoring.proof.cases import Case, Series, Value, fires, gauge, stays_silent

HALF_HOUR = timedelta(minutes=30)
DAY, DAY_S = 1440, 86_400.0  # minutes, seconds
YEAR_S = 365 * DAY_S
RARER = "evaluation_benchmark_rarer_ratio"
CONTACTED_ONLY = "evaluation_contacted_only_seconds"


def figure(name: str, job: str, before: Value, *after: tuple[int, Value], **labels: str) -> Series:
    """One gauge of a job."""
    text = ",".join(f'{label}="{value}"' for label, value in {"job": job, **labels}.items())
    return gauge(f"leadscoring_{name}{{{text}}}", before, *after)


def auc(name: str, job: str, before: Value, *after: tuple[int, Value]) -> Series:
    """The same for ROC-AUC."""
    return figure(name, job, before, *after, figure="roc_auc")


def error(name: str, before: Value, *after: tuple[int, Value]) -> Series:
    """The same for the calibration error."""
    return figure(name, "evaluate", before, *after, figure="calibration_error")


def agreed(name: str, before: Value, *after: tuple[int, Value], figure: str = "profit") -> Series:
    """A gauge of the agreed metric."""
    labels = f'figure="{figure}",metric_reason="it pays, after costs",agreed_by="head of sales"'
    return gauge(f'leadscoring_agreed_{name}{{job="evaluate",{labels}}}', before, *after)


def agreement(by: str, before: Value, *after: tuple[int, Value]) -> Series:
    """When these people agreed, in seconds after the case begins."""
    return gauge(f'leadscoring_agreed_timestamp_seconds{{job="evaluate",agreed_by="{by}"}}', before, *after)


def every(gap: int, *values: float) -> tuple[tuple[int, Value], ...]:
    """One sample each so many minutes."""
    return tuple(stretch for value in values for stretch in ((60, value), (gap - 60, None)))


def simple(alert: str, name: str, job: str, well: float, near: float, bad: float) -> tuple[Case, Case]:
    """Half an hour with a bad value, and with one that is just not bad."""
    return (
        fires(alert, f"{name} is {bad}", figure(name, job, well, (30, bad), (1, well)), after=0, until=30),
        stays_silent(alert, f"{name} is {near}", figure(name, job, well, (30, near), (1, well)), lasts=60),
    )


def by_feature(alert: str, name: str, near: float, bad: float) -> tuple[Case, Case, Case]:
    """Two features, and the look-back: one sample a day is seen for 25 hours."""

    def each(*after: tuple[int, Value], features: tuple[str, ...] = ("age", "job_title")) -> tuple[Series, ...]:
        return tuple(figure(name, "drift", 0.0, *after, feature=feature) for feature in features)

    return (
        fires(alert, f"{name} of two features is {bad}", *each((30, bad), (1, 0)), after=0, until=30, instances=2),
        stays_silent(alert, f"{name} is {near}", *each((30, near), (1, 0)), lasts=60),
        fires(
            alert,
            f"{name} is {bad} once a day",
            *each((30, bad), (1440, None), features=("age",)),
            step=HALF_HOUR,
            after=0,
            until=1530,
            lasts=1800,
        ),
    )


CASES = (
    fires(
        "AgreedMetricBelowBenchmark",
        "even the best that the agreed profit may be is less, and ROC-AUC is as good",
        agreed("figure_high", 1_200, (30, 1_099), (1, 1_200)),
        agreed("benchmark", 1_100),
        auc("evaluation_figure_high", "evaluate", 0.8),
        auc("evaluation_benchmark", "evaluate", 0.75),
        after=0,
        until=30,
    ),
    fires(
        "AgreedMetricBelowBenchmark",
        "one evaluation a day, of which the second is bad and the third good again",
        agreed("figure_high", None, *every(DAY, 0.7, 0.6, 0.7), figure="recall"),
        agreed("benchmark", None, *every(DAY, 0.65, 0.65, 0.65), figure="recall"),
        history=0,
        after=DAY,
        until=2 * DAY,
        lasts=3 * DAY,
        step=timedelta(hours=1),
    ),
    stays_silent(
        "AgreedMetricBelowBenchmark",
        "at its best the agreed profit is as good, and ROC-AUC is worse",
        agreed("figure_high", 1_200, (30, 1_100), (1, 1_200)),
        agreed("benchmark", 1_100),
        auc("evaluation_figure_high", "evaluate", 0.8, (30, 0.7), (1, 0.8)),
        auc("evaluation_benchmark", "evaluate", 0.75),
        lasts=60,
    ),
    stays_silent(
        "AgreedMetricBelowBenchmark",
        "people agree on another metric, whose figures are smaller",
        agreed("figure_high", 1_200, (30, 1_200), (1, None)),
        agreed("benchmark", 1_100, (30, 1_100), (1, None)),
        agreed("figure_high", None, (30, None), (1, 0.6), figure="recall"),
        agreed("benchmark", None, (30, None), (1, 0.5), figure="recall"),
        lasts=120,
    ),
    # Times are seconds after the case begins, 3,600 before the fault: people agreed a year before that time.
    fires(
        "AgreementTooOld",
        "two groups agreed a year ago, of which one agrees anew",
        agreement("head of sales", 7_200 - YEAR_S),
        agreement("owners", 7_200 - YEAR_S, (120, 7_200 - YEAR_S), (1, 0)),
        after=61,
        until=120,
        lasts=119,
        instances=2,
    ),
    stays_silent("AgreementTooOld", "at the end just a year ago", agreement("owners", 10_740 - YEAR_S), lasts=119),
    *(
        case
        # Conversion rate at training, or that of the others, and its fifth: by how much the error may be larger.
        for rate, limit in ((0.03, 0.006), (0.4, 0.08))
        for case in (
            fires(
                "CalibrationBelowBenchmark",
                f"just too far off where {rate:.0%} converted",
                error("evaluation_figure_low", 0.001, (30, 0.004 + 1.02 * limit), (1, 0.001)),
                error("evaluation_benchmark", 0.004),
                figure(RARER, "evaluate", rate),
                after=0,
                until=30,
            ),
            stays_silent(
                "CalibrationBelowBenchmark",
                f"not quite too far off where {rate:.0%} converted",
                error("evaluation_figure_low", 0.001, (30, 0.004 + 0.98 * limit), (1, 0.001)),
                error("evaluation_benchmark", 0.004),
                figure(RARER, "evaluate", rate),
                lasts=60,
            ),
        )
    ),
    fires(
        "ExpectedRankingBelowFloor",
        "0.70 of 0.75",
        auc("expected_figure_high", "drift", 0.8, (30, 0.7), (1, 0.8)),
        auc("evaluation_benchmark", "evaluate", 0.75),
        after=0,
        until=30,
    ),
    stays_silent(
        "ExpectedRankingBelowFloor",
        "0.72 of 0.75",
        auc("expected_figure_high", "drift", 0.8, (30, 0.72), (1, 0.8)),
        auc("evaluation_benchmark", "evaluate", 0.75),
        lasts=60,
    ),
    *simple("TooFewOutcomes", "evaluation_leads", "evaluate", 400, 205, 195),
    *simple("FiguresOfContactedLeadsOnly", CONTACTED_ONLY, "evaluate", 0, 13.9 * DAY_S, 14.1 * DAY_S),
    fires(
        "FiguresOfContactedLeadsOnly",
        "one evaluation a day for five days, of which the last is of all leads",
        figure(CONTACTED_ONLY, "evaluate", None, *every(DAY, 13 * DAY_S, 14 * DAY_S, 15 * DAY_S, 16 * DAY_S, 0)),
        after=2 * DAY,
        until=4 * DAY,
        lasts=5 * DAY,
        step=HALF_HOUR,
    ),
    *simple("ContactsCostMoreThanTheyEarn", "business_roi_ratio", "evaluate", 0.5, 0.01, -0.1),
    *simple("LeadsDrifted", "drift_found", "drift", 0, 0, 1),
    fires(
        "ScoresShifted",
        "far, and beyond chance",
        figure("drift_score_distance", "drift", 0.05, (30, 0.25), (1, 0.05)),
        figure("drift_score_shifted", "drift", 0, (30, 1), (1, 0)),
        after=0,
        until=30,
    ),
    stays_silent(
        "ScoresShifted",
        "far by chance",
        figure("drift_score_distance", "drift", 0.05, (30, 0.3), (1, 0.05)),
        figure("drift_score_shifted", "drift", 0),
        lasts=60,
    ),
    stays_silent(
        "ScoresShifted",
        "near, beyond chance",
        figure("drift_score_distance", "drift", 0.05, (30, 0.15), (1, 0.05)),
        figure("drift_score_shifted", "drift", 0, (30, 1), (1, 0)),
        lasts=60,
    ),
    *by_feature("UnseenValues", "feature_unseen_excess_ratio", 0.04, 0.06),
    *by_feature("ValuesMissing", "feature_missing_excess_ratio", 0.09, 0.11),
    *simple("ChallengersRefused", "challenger_refused_in_a_row", "retrain", 0, 2, 3),
    fires(
        "ChallengersRefused",
        "one retraining a week: three are refused, the fourth is not",
        figure("challenger_refused_in_a_row", "retrain", None, *every(7 * DAY, 1, 2, 3, 0)),
        history=0,
        after=14 * DAY,
        until=21 * DAY,
        lasts=22 * DAY,
        step=timedelta(hours=1),
    ),
)
