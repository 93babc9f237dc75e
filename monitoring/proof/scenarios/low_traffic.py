"""Stories of fifty requests a day."""

from datetime import timedelta

from monitoring.proof.cases import Series, Stretch, counter, fires, stays_silent

TEN = timedelta(minutes=10)
ALERT = "ScoringFailuresAmongFew"


def hourly(status: int, count: float, hours: int, before: float = 0) -> Series:
    """So many requests in the first ten minutes of each hour, then none; before, so many a minute."""
    stretches: tuple[Stretch, ...] = ((10, count / 10), (50, 0.0))
    labels = f'route="/v1/score",method="POST",status="{status}"'
    return counter(f"leadscoring_requests_total{{{labels}}}", before, *(stretches * hours))


def day(
    well: float, bad: float, hours: int = 8, failing: int | None = None, before: float = 0
) -> tuple[Series, Series]:
    """Working hours with these requests in each, bad ones in the first `failing` hours, after a quiet night."""
    return hourly(200, well, hours, before), hourly(503, bad, hours if failing is None else failing)


CASES = (
    fires(
        ALERT,
        "a fifth of fifty requests fails over a working day",
        *day(5, 1.25),
        step=TEN,
        named_only=True,
        after=120,
        until=1740,
        lasts=1800,
    ),
    fires(
        ALERT,
        "one of twelve fails over a long day",
        *day(27.5, 2.5, 12),
        step=TEN,
        named_only=True,
        after=120,
        until=1990,
        lasts=2100,
    ),
    stays_silent(
        ALERT,
        "one of sixteen fails over a long day",
        *day(30, 2, 12),
        step=TEN,
        named_only=True,
        lasts=1800,
    ),
    stays_silent(ALERT, "three of 35 fail", *day(4, 1, failing=3), step=TEN, named_only=True, lasts=1800),
    stays_silent(
        ALERT,
        "a roll-out fails ten requests within two hours",
        *day(5, 5, failing=2),
        step=TEN,
        named_only=True,
        lasts=1800,
    ),
    stays_silent(
        ALERT,
        "a fifth fails after a day of 430 requests",
        *day(4, 1, before=0.3),
        step=TEN,
        named_only=True,
        history=1440,
        lasts=360,
    ),
    stays_silent(
        ALERT,
        "more than a tenth fails for six hours, after a day of 720 requests",
        *day(4, 12, before=0.5),
        step=TEN,
        named_only=True,
        history=1440,
        lasts=360,
    ),
)
