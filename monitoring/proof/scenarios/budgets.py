"""Stories of the error budgets: four weeks' worth of bad events, told once an hour.

Five times the share that is promised spends half of the budget of the eight days told here after a day, and all of it
after two.
"""

from datetime import timedelta

from monitoring.proof.cases import Case, Firing, Series, counter, gauge
from monitoring.proof.scenarios.promises import Traffic, durations, mlflow, statuses

HOUR = timedelta(hours=1)
DAY, WEEK = 1440, 10_080  # minutes
ENDS = ("BudgetHalfSpent", "BudgetSpent")


def told(story: str, slo: str, series: tuple[Series, ...], history: int, lasts: int, *after: int) -> Case:
    """A story in which half and all of a budget are spent after so many minutes, and stay so; or none."""
    names = [slo + end for end in ENDS]
    fires = {name: Firing(after=minutes, until=lasts + 60) for name, minutes in zip(names, after, strict=False)}
    return Case(
        story=f"{slo}: {story}",
        series=series,
        lasts=lasts,
        history=history,
        step=HOUR,
        fires=fires,
        stays_silent=tuple(name for name in names if name not in fires),
        named_only=True,
    )


def requests(slo: str, traffic: Traffic, budget: float, fewest: int, late: int = 0) -> tuple[Case, ...]:
    """Of many requests five times too many are bad; of few, as many as count and one fewer, far beyond the share."""
    many = traffic(1000, ((2700, 5.1 * 1000 * budget),))
    few, fewer = (traffic(0.2, ((600, bad / 600), (1, 0))) for bad in (fewest + 0.5, fewest - 1))
    return (
        told("the budget is spent", slo, many, WEEK, 2700, 1080 + late, 2400 + late),
        told("few requests", slo, few, DAY, 1200, 540 + late, 540 + late),
        told("one bad request fewer", slo, fewer, DAY, 1200),
    )


def pointer(stuck: int) -> tuple[Series, ...]:
    """Read every hour, but for so many minutes."""
    name = 'leadscoring_pointer_last_success_timestamp_seconds{instance="b"}'
    return (counter(name, 60, (stuck, 0), (60, stuck + 60), (1, 60)),)


def success(job: str, after: int) -> tuple[Series, ...]:
    """A job of a new environment: it ends well two days after the story's begin, and then so many minutes later."""
    name = f'leadscoring_job_last_success_timestamp_seconds{{job="{job}"}}'
    return (gauge(name, None, (after, 172_800), (60, (DAY + after) * 60)),)


CASES = (
    *requests("ScoringAvailability", statuses, 0.001, 10),
    *requests("ScoringLatency", durations, 0.01, 30),
    *requests("MlflowAvailability", mlflow, 0.01, 10, late=60),
    # Of 672 hours 6.72 may be bad. A pointer that is read ahead of the hour is behind from the second hour on.
    told("no pointer is read for a day", "ModelFreshness", pointer(DAY), DAY, 900, 240, 420),
    told("no pointer is read for four hours", "ModelFreshness", pointer(240), DAY, 900),
    # Of 672 hours 33.6 may be bad; a daily job of an hour is late 25 hours after its success.
    *(
        case
        for job, slo in (("evaluate", "EvaluationOnTime"), ("drift", "DriftOnTime"))
        for case in (
            told("it is not started for days", slo, success(job, 2 * WEEK), DAY, 5100, 3900, 4920),
            told("it is late for 16 hours", slo, success(job, 3900), DAY, 5100),
        )
    ),
)
