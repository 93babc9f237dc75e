"""Stories of the promises that are shares of requests.

Thresholds are shares of four weeks' budget: 2 % in an hour are 13.44 times the budget's share of errors, 5 % in six
hours 5.6 times, 10 % in a day 2.8 times.
"""

from collections.abc import Callable

from monitoring.proof.cases import Case, Firing, Series, counter, fires, stays_silent

Traffic = Callable[[float, tuple[tuple[int, float], ...]], tuple[Series, ...]]  # a minute, bad ones from the fault on


def statuses(well: float, bad: tuple[tuple[int, float], ...]) -> tuple[Series, ...]:
    """Requests to score: all well, until so many of them fail."""
    labels = 'route="/v1/score",method="POST"'
    return (
        counter(f'leadscoring_requests_total{{{labels},status="200"}}', well, *((m, well - n) for m, n in bad)),
        counter(f'leadscoring_requests_total{{{labels},status="503"}}', 0, *bad),
    )


def durations(well: float, bad: tuple[tuple[int, float], ...]) -> tuple[Series, ...]:
    """Requests to score: all within 0.25 s, until so many of them take longer."""
    name = "leadscoring_request_duration_seconds"
    return (
        counter(f'{name}_count{{route="/v1/score"}}', well),
        counter(f'{name}_bucket{{route="/v1/score",le="0.25"}}', well, *((m, well - n) for m, n in bad)),
    )


def mlflow(well: float, bad: tuple[tuple[int, float], ...]) -> tuple[Series, ...]:
    """MLflow's requests: all well, until so many of them fail."""
    name = 'run_googleapis_com:request_count{monitored_resource="cloud_run_revision"'
    return (
        counter(f'{name},response_code_class="2xx"}}', well, *((m, well - n) for m, n in bad)),
        counter(f'{name},response_code_class="5xx"}}', 0, *bad),
    )


def stories(
    slo: str, traffic: Traffic, budget: float, guard: int, ends: dict[str, float], at: dict[str, dict[str, Firing]]
) -> tuple[Case, ...]:
    """For each window twice its share, nine tenths of it, and three times that falls to six tenths when it is mended
    but for a rest; and a few bad ones in the night, as many as count.

    `at` says when which alert fires in each story.
    """
    cases: list[Case] = []
    for end, factor in ends.items():
        share = factor * budget
        name = f"{slo}{end}"
        twice, less = f"{slo}: twice {end}", f"{slo}: nine tenths of {end}"
        both = dict(at[twice])
        own = both.pop(name)
        cases.append(
            fires(
                name,
                twice,
                *traffic(1000, ((90, 2000 * share), (1, 0))),
                after=own.after,
                until=own.until,
                lasts=300,
                others=both,
            )
        )
        below = at.get(less, {})
        cases.append(
            Case(
                story=less,
                series=traffic(1000, ((90, 900 * share), (1, 0))),
                lasts=150,
                fires=below,
                stays_silent=(name,),
            )
        )
        rest = f"{slo}: a rest of {end}"
        cases.append(
            Case(
                story=rest,
                series=traffic(1000, ((90, 3000 * share), (1, 600 * share))),
                lasts=240,
                fires=at.get(rest, {}),
                stays_silent=(name,),
                named_only=True,
            )
        )
    names = [f"{slo}{end}" for end in ends]
    night = at[f"{slo}: night"]
    cases.append(
        Case(story=f"{slo}: night", series=traffic(1, ((guard, 1), (1, 0))), lasts=200, fires=night, stays_silent=())
    )
    cases.append(stays_silent(names[0], f"{slo}: almost a night", *traffic(1, ((guard - 1, 1), (1, 0))), lasts=200))
    cases.extend(
        stays_silent(name, f"{slo}: one in a hundred thousand", *traffic(1000, ((60, 0.01), (1, 0))), lasts=90)
        for name in names[1:]
    )
    return tuple(cases)


ALL = {"BurnFast": 13.44, "BurnSlow": 5.6, "BurnSteady": 2.8}
SLOWER = {"BurnSlow": 5.6, "BurnSteady": 2.8}
AT: dict[str, dict[str, Firing]] = {
    "ScoringAvailability: twice BurnFast": {
        "ScoringAvailabilityBurnFast": Firing(after=30, until=92),
        "ScoringAvailabilityBurnSlow": Firing(after=15, until=113),
        "ScoringAvailabilityBurnSteady": Firing(after=6, until=197),
    },
    "ScoringAvailability: nine tenths of BurnFast": {
        "ScoringAvailabilityBurnSlow": Firing(after=51, until=106),
        "ScoringAvailabilityBurnSteady": Firing(after=18, until=151),
    },
    "ScoringAvailability: twice BurnSlow": {
        "ScoringAvailabilityBurnSlow": Firing(after=60, until=104),
        "ScoringAvailabilityBurnSteady": Firing(after=20, until=179),
    },
    "ScoringAvailability: nine tenths of BurnSlow": {
        "ScoringAvailabilityBurnSteady": Firing(after=75, until=101),
    },
    "ScoringAvailability: twice BurnSteady": {
        "ScoringAvailabilityBurnSteady": Firing(after=60, until=119),
    },
    "ScoringAvailability: night": {
        "ScoringAvailabilityBurnFast": Firing(after=9, until=14),
        "ScoringAvailabilityBurnSlow": Firing(after=9, until=39),
        "ScoringAvailabilityBurnSteady": Firing(after=9, until=129),
    },
    "ScoringLatency: twice BurnFast": {
        "ScoringLatencyBurnFast": Firing(after=30, until=92),
        "ScoringLatencyBurnSlow": Firing(after=15, until=113),
        "ScoringLatencyBurnSteady": Firing(after=6, until=197),
    },
    "ScoringLatency: nine tenths of BurnFast": {
        "ScoringLatencyBurnSlow": Firing(after=51, until=106),
        "ScoringLatencyBurnSteady": Firing(after=18, until=151),
    },
    "ScoringLatency: twice BurnSlow": {
        "ScoringLatencyBurnSlow": Firing(after=59, until=104),
        "ScoringLatencyBurnSteady": Firing(after=20, until=179),
    },
    "ScoringLatency: nine tenths of BurnSlow": {
        "ScoringLatencyBurnSteady": Firing(after=75, until=101),
    },
    "ScoringLatency: twice BurnSteady": {
        "ScoringLatencyBurnSteady": Firing(after=60, until=120),
    },
    "ScoringLatency: night": {
        "ScoringLatencyBurnFast": Firing(after=29, until=34),
        "ScoringLatencyBurnSlow": Firing(after=29, until=58),
        "ScoringLatencyBurnSteady": Firing(after=29, until=146),
    },
    "MlflowAvailability: twice BurnSlow": {
        "MlflowAvailabilityBurnSlow": Firing(after=61, until=106),
        "MlflowAvailabilityBurnSteady": Firing(after=22, until=181),
    },
    "MlflowAvailability: nine tenths of BurnSlow": {
        "MlflowAvailabilityBurnSteady": Firing(after=77, until=103),
    },
    "MlflowAvailability: twice BurnSteady": {
        "MlflowAvailabilityBurnSteady": Firing(after=62, until=122),
    },
    "MlflowAvailability: night": {
        "MlflowAvailabilityBurnSlow": Firing(after=11, until=40),
        "MlflowAvailabilityBurnSteady": Firing(after=11, until=128),
    },
    # Three times the share reaches the window's after a third of the hour that is told, and falls below it when the
    # short window holds a sixth of it still.
    "ScoringAvailability: a rest of BurnFast": {
        "ScoringAvailabilityBurnFast": Firing(after=20, until=94),
    },
    "ScoringAvailability: a rest of BurnSlow": {
        "ScoringAvailabilityBurnSlow": Firing(after=30, until=114),
    },
    "ScoringAvailability: a rest of BurnSteady": {"ScoringAvailabilityBurnSteady": Firing(after=30, until=189)},
    "ScoringLatency: a rest of BurnFast": {"ScoringLatencyBurnFast": Firing(after=20, until=94)},
    "ScoringLatency: a rest of BurnSlow": {
        "ScoringLatencyBurnSlow": Firing(after=30, until=114),
    },
    "ScoringLatency: a rest of BurnSteady": {"ScoringLatencyBurnSteady": Firing(after=30, until=189)},
    "MlflowAvailability: a rest of BurnSlow": {
        "MlflowAvailabilityBurnSlow": Firing(after=32, until=116),
    },
    "MlflowAvailability: a rest of BurnSteady": {"MlflowAvailabilityBurnSteady": Firing(after=32, until=191)},
}
CASES = (
    *stories("ScoringAvailability", statuses, 0.001, 10, ALL, AT),
    *stories("ScoringLatency", durations, 0.01, 30, ALL, AT),
    *stories("MlflowAvailability", mlflow, 0.01, 10, SLOWER, AT),
)
