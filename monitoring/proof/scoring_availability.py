"""Cases of the scoring availability SLO: 99.9 % over 28 days, ten failures at least.

Expected times come from arithmetic on the promise, never from the code under proof: 2 % of 28 days'
budget in an hour is 1.344 % bad, 5 % in six hours 0.56 %, 10 % in a day 0.28 %. An alert is silent
again when its short window (5, 30, 120 minutes) holds too few bad events.
"""

from collections.abc import Mapping
from datetime import timedelta

from monitoring.proof.cases import Case, Firing, counter

FAST, SLOW, STEADY = (f"ScoringAvailabilityBurn{end}" for end in ("Fast", "Slow", "Steady"))
DAY = timedelta(days=1)
Stretch = tuple[timedelta, int | None]


def minutes(count: int) -> timedelta:
    """So many minutes."""
    return timedelta(minutes=count)


def firing(after: int, until: int) -> Firing:
    """Minutes after the fault from which on an alert fires, and at which it is silent again."""
    return Firing(after=minutes(after), until=minutes(until))


def requests(*stretches: Stretch, status: int, route: str = "/v1/score", pod: str = "a") -> dict[str, str]:
    """Requests a minute that one pod answered with a status."""
    labels = f'{{route="{route}",method="POST",status="{status}",pod="{pod}"}}'
    return {f"leadscoring_requests_total{labels}": counter(*stretches)}


def share(bad: int, lasts: timedelta, fires: Mapping[str, Firing], story: str) -> Case:
    """After a healthy day, so many of ten thousand requests a minute fail for good."""
    return Case(
        story=story,
        series=requests((DAY, 10_000), (lasts, 10_000 - bad), status=200)
        | requests((DAY, 0), (lasts, bad), status=500),
        fault=DAY,
        lasts=lasts,
        fires=fires,
    )


def failing(a_minute: int, lasts: int, watched: int, fires: Mapping[str, Firing], story: str) -> Case:
    """A service with so many requests a minute fails all of them for so many minutes, then recovers."""
    failing, healthy = minutes(lasts), minutes(watched - lasts)
    return Case(
        story=story,
        series=requests((DAY, a_minute), (failing, 0), (healthy, a_minute), status=200)
        | requests((DAY, 0), (failing, a_minute), (healthy, 0), status=503),
        fault=DAY,
        lasts=minutes(watched),
        fires=fires,
    )


CASES = (
    # 60 a minute. Fast: 1.344 % of 3,600 are 49 failures, slow: 0.56 % of 21,600 are 121, steady: 0.28 %
    # of 86,400 are 242. The last failure leaves the short windows 5, 30 and 120 minutes after minute 15.
    failing(
        60,
        lasts=15,
        watched=180,
        fires={FAST: firing(1, 20), SLOW: firing(3, 45), STEADY: firing(5, 135)},
        story="everything fails for a quarter of an hour",
    ),
    # One request a minute: any ratio is high, ten failures are the first that count.
    failing(
        1,
        lasts=10,
        watched=180,
        fires={FAST: firing(10, 15), SLOW: firing(10, 40), STEADY: firing(10, 130)},
        story="ten requests fail at night",
    ),
    failing(1, lasts=9, watched=180, fires={}, story="nine requests fail at night"),
    Case(
        story="nobody asks for scores for a day",
        series=requests((DAY, 0), status=200) | requests((DAY, 0), status=500),
        fault=DAY,
        lasts=timedelta(0),
    ),
    Case(story="nothing is exported", series={}, fault=minutes(0), lasts=minutes(60)),
    Case(
        story="callers send leads that are refused, and one polls a page that does not exist",
        series=requests((DAY, 60), (minutes(60), 30), status=200)
        | requests((DAY, 0), (minutes(60), 60), status=422)
        | requests((DAY, 0), (minutes(60), 60), status=413)
        | requests((DAY, 0), (minutes(60), 60), status=404, route="other"),
        fault=DAY,
        lasts=minutes(60),
    ),
    Case(
        story="another route fails",
        series=requests((DAY, 60), (minutes(60), 60), status=200)
        | requests((DAY, 0), (minutes(60), 60), status=500, route="/v1/model"),
        fault=DAY,
        lasts=minutes(60),
    ),
    # PromQL sees no growth in a series' first sample, so the fast alert comes a minute later than above.
    Case(
        story="a pod fails that never did, so that its counter of failures is new",
        series=requests((DAY, 60), (minutes(10), 0), status=200) | requests((DAY, None), (minutes(10), 60), status=500),
        fault=DAY,
        lasts=minutes(10),
        fires={FAST: firing(2, 11), SLOW: firing(3, 11), STEADY: firing(5, 11)},
    ),
    # 30 failures a minute, so twice the minutes of the first case. The replacement's counters start again
    # from nothing, and no window may take that for a recovery.
    Case(
        story="one of two pods fails everything and is replaced by one that does so too",
        series=requests((DAY + minutes(60), 30), status=200, pod="a")
        | requests((DAY, 30), (minutes(60), 0), status=200, pod="b")
        | requests((DAY, 0), (minutes(20), 30), (minutes(40), None), status=500, pod="b")
        | requests((DAY + minutes(20), None), (minutes(40), 30), status=500, pod="c"),
        fault=DAY,
        lasts=minutes(60),
        fires={FAST: firing(2, 61), SLOW: firing(5, 61), STEADY: firing(9, 61)},
    ),
    # Just above and just below each threshold. The long window needs threshold / share of its length.
    share(
        150,
        lasts=minutes(300),
        fires={FAST: firing(54, 301), SLOW: firing(135, 301), STEADY: firing(269, 301)},
        story="1.5 % fail",
    ),
    share(130, lasts=minutes(150), fires={}, story="1.3 % fail, for less than the slower windows need"),
    share(
        57,
        lasts=minutes(720),
        fires={SLOW: firing(354, 721), STEADY: firing(708, 721)},
        story="0.57 % fail",
    ),
    share(55, lasts=minutes(720), fires={}, story="0.55 % fail, for less than the slowest window needs"),
    share(29, lasts=minutes(1440), fires={STEADY: firing(1391, 1441)}, story="0.29 % fail"),
    share(27, lasts=minutes(1800), fires={}, story="0.27 % fail"),
)
