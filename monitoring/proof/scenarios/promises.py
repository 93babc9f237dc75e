"""Stories of the promises that are shares of requests.

Thresholds are shares of four weeks' budget: 2 % in an hour are 13.44 times the budget's share of errors, 5 % in six
hours 5.6 times, 10 % in a day 2.8 times.
"""

from collections.abc import Callable

from monitoring.proof.cases import Case, Firing, Series, counter, stays_silent

Bad = tuple[tuple[int, float], ...]  # minutes, bad ones a minute
Traffic = Callable[[float, Bad], tuple[Series, ...]]  # a minute, bad ones from the fault on


def statuses(well: float, bad: Bad) -> tuple[Series, ...]:
    """Requests to score: all well, until so many of them fail."""
    labels = 'route="/v1/score",method="POST"'
    return (
        counter(f'leadscoring_requests_total{{{labels},status="200"}}', well, *((m, well - n) for m, n in bad)),
        counter(f'leadscoring_requests_total{{{labels},status="503"}}', 0, *bad),
    )


def durations(well: float, bad: Bad) -> tuple[Series, ...]:
    """Requests to score: all within 0.25 s, until so many of them take longer."""
    name = "leadscoring_request_duration_seconds"
    return (
        counter(f'{name}_count{{route="/v1/score"}}', well),
        counter(f'{name}_bucket{{route="/v1/score",le="0.25"}}', well, *((m, well - n) for m, n in bad)),
    )


def mlflow(well: float, bad: Bad) -> tuple[Series, ...]:
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
    but for a rest; then a few bad ones in the night, as many as count. All rates are 1 % higher: a rate that only
    reaches a threshold would fire or not by the order in which Prometheus adds floats.

    `at` says when which alert fires in each story. Where a fast burn pages, six hours of good traffic come first: as in
    production it fires before the slow one, which stays silent then.
    """
    cases: list[Case] = []
    for end, factor in ends.items():
        share, before = factor * budget, 420 if end == "BurnFast" else 60
        name = f"{slo}{end}"
        told: tuple[tuple[str, Bad, int, int], ...] = (
            (f"{slo}: twice {end}", ((90, 2020 * share), (1, 0)), 300, before),
            (f"{slo}: nine tenths of {end}", ((90, 909 * share), (1, 0)), 150, 60),
            (f"{slo}: a rest of {end}", ((90, 3030 * share), (1, 606 * share)), 240, before),
        )
        for story, bad, lasts, history in told:
            cases.append(
                Case(
                    story=story,
                    series=traffic(1000, bad),
                    lasts=lasts,
                    history=history,
                    fires=at.get(story, {}),
                    stays_silent=tuple({name, f"{slo}BurnSlow"} - at.get(story, {}).keys()),
                    named_only="a rest" in story,
                )
            )
    return (*cases, *few(slo, traffic, budget, guard, ends, at))


def few(
    slo: str, traffic: Traffic, budget: float, guard: int, ends: dict[str, float], at: dict[str, dict[str, Firing]]
) -> tuple[Case, ...]:
    """The stories of few bad ones: in a quiet night, beside a fast burn, and one in a hundred thousand."""
    cases: list[Case] = []
    pages = "BurnFast" in ends
    names = [f"{slo}{end}" for end in ends]
    for story, bad in (*nights(guard), *(beside_fast(guard) if pages else ())):
        strays = "strays" in story  # after which BurnSteady fires twice, which a case cannot say
        cases.append(
            Case(
                story=f"{slo}: {story}",
                series=traffic(1, bad),
                lasts=300 if strays else 200,
                fires=at.get(f"{slo}: {story}", {}),
                stays_silent=() if strays else tuple(names),
                named_only=strays,
            )
        )
    if pages:
        fast = 1000 * ALL["BurnFast"] * budget
        burst = f"{slo}: a burst in a slow burn"
        bad = ((150, 0.6 * fast), (5, 2.9 * fast), (1, 0.6 * fast))
        cases.append(
            Case(
                story=burst,
                series=traffic(1000, bad),
                lasts=220,
                fires=at.get(burst, {}),
                stays_silent=(f"{slo}BurnFast",),
            )
        )
    cases.extend(
        stays_silent(name, f"{slo}: one in a hundred thousand", *traffic(1000, ((60, 0.01), (1, 0))), lasts=90)
        for name in names[1:]
    )
    return tuple(cases)


def nights(guard: int) -> tuple[tuple[str, Bad], ...]:
    """With a request a minute: as many bad ones as count, and one fewer."""
    return (
        ("night", ((guard, 1), (1, 0))),
        ("almost a night", ((guard - 1, 1), (1, 0))),
    )


def beside_fast(guard: int) -> tuple[tuple[str, Bad], ...]:
    """Too few bad ones for a fast burn, in five minutes or in the hour: the slow one must tell then.

    And strays after an incident that the long windows remember: two in ten minutes, an hour later four in four.
    """
    burst = 2 * guard // 5
    return (
        ("few in five minutes", ((120, 0.55), (1, 0))),
        ("few in an hour", ((burst, 1), (35 - burst, 0), (burst, 1), (35 - burst, 0), (burst, 1), (1, 0))),
        ("strays after a night", ((guard, 1), (150, 0), (10, 0.2), (60, 0), (4, 1), (1, 0))),
    )


ALL = {"BurnFast": 13.44, "BurnSlow": 5.6, "BurnSteady": 2.8}
SLOWER = {"BurnSlow": 5.6, "BurnSteady": 2.8}
# Three times the share reaches the window's after a third of the hour that is told, and falls below it when the short
# window holds a sixth of it still. A slow burn pages half an hour after the fast one at the earliest.
AT: dict[str, dict[str, Firing]] = {
    "ScoringAvailability: twice BurnFast": {
        "ScoringAvailabilityBurnFast": Firing(after=29, until=92),
        "ScoringAvailabilityBurnSteady": Firing(after=48, until=197),
    },
    "ScoringAvailability: nine tenths of BurnFast": {
        "ScoringAvailabilityBurnSlow": Firing(after=50, until=106),
        "ScoringAvailabilityBurnSteady": Firing(after=17, until=151),
    },
    "ScoringAvailability: a rest of BurnFast": {
        "ScoringAvailabilityBurnFast": Firing(after=19, until=94),
        "ScoringAvailabilityBurnSlow": Firing(after=124, until=241),
    },
    "ScoringAvailability: twice BurnSlow": {
        "ScoringAvailabilityBurnSlow": Firing(after=58, until=105),
        "ScoringAvailabilityBurnSteady": Firing(after=19, until=180),
    },
    "ScoringAvailability: nine tenths of BurnSlow": {
        "ScoringAvailabilityBurnSteady": Firing(after=73, until=103),
    },
    "ScoringAvailability: a rest of BurnSlow": {
        "ScoringAvailabilityBurnSlow": Firing(after=29, until=47),
    },
    "ScoringAvailability: twice BurnSteady": {
        "ScoringAvailabilityBurnSteady": Firing(after=58, until=121),
    },
    "ScoringAvailability: a rest of BurnSteady": {
        "ScoringAvailabilityBurnSteady": Firing(after=29, until=190),
    },
    "ScoringAvailability: night": {
        "ScoringAvailabilityBurnFast": Firing(after=9, until=12),
        "ScoringAvailabilityBurnSteady": Firing(after=9, until=127),
    },
    "ScoringAvailability: few in five minutes": {
        "ScoringAvailabilityBurnSlow": Firing(after=18, until=144),
        "ScoringAvailabilityBurnSteady": Firing(after=18, until=201),
        "ScoringFailuresAmongFew": Firing(after=120, until=201),
    },
    "ScoringAvailability: few in an hour": {
        "ScoringAvailabilityBurnSlow": Firing(after=72, until=101),
        "ScoringAvailabilityBurnSteady": Firing(after=71, until=191),
    },
    "ScoringAvailability: strays after a night": {
        "ScoringAvailabilityBurnFast": Firing(after=9, until=12),
        "ScoringAvailabilityBurnSlow": Firing(after=232, until=261),
    },
    "ScoringAvailability: a burst in a slow burn": {
        "ScoringAvailabilityBurnSlow": Firing(after=136, until=221),
        "ScoringAvailabilityBurnSteady": Firing(after=31, until=221),
    },
    "ScoringLatency: twice BurnFast": {
        "ScoringLatencyBurnFast": Firing(after=29, until=92),
        "ScoringLatencyBurnSteady": Firing(after=48, until=197),
    },
    "ScoringLatency: nine tenths of BurnFast": {
        "ScoringLatencyBurnSlow": Firing(after=50, until=106),
        "ScoringLatencyBurnSteady": Firing(after=17, until=151),
    },
    "ScoringLatency: a rest of BurnFast": {
        "ScoringLatencyBurnFast": Firing(after=19, until=94),
        "ScoringLatencyBurnSlow": Firing(after=124, until=241),
    },
    "ScoringLatency: twice BurnSlow": {
        "ScoringLatencyBurnSlow": Firing(after=58, until=105),
        "ScoringLatencyBurnSteady": Firing(after=19, until=180),
    },
    "ScoringLatency: nine tenths of BurnSlow": {
        "ScoringLatencyBurnSteady": Firing(after=73, until=103),
    },
    "ScoringLatency: a rest of BurnSlow": {
        "ScoringLatencyBurnSlow": Firing(after=29, until=47),
    },
    "ScoringLatency: twice BurnSteady": {
        "ScoringLatencyBurnSteady": Firing(after=58, until=121),
    },
    "ScoringLatency: a rest of BurnSteady": {
        "ScoringLatencyBurnSteady": Firing(after=29, until=190),
    },
    "ScoringLatency: night": {
        "ScoringLatencyBurnFast": Firing(after=29, until=32),
        "ScoringLatencyBurnSteady": Firing(after=29, until=146),
    },
    "ScoringLatency: few in five minutes": {
        "ScoringLatencyBurnSlow": Firing(after=53, until=144),
        "ScoringLatencyBurnSteady": Firing(after=53, until=201),
    },
    "ScoringLatency: few in an hour": {
        "ScoringLatencyBurnSlow": Firing(after=75, until=109),
        "ScoringLatencyBurnSteady": Firing(after=75, until=198),
    },
    "ScoringLatency: strays after a night": {
        "ScoringLatencyBurnFast": Firing(after=29, until=32),
        "ScoringLatencyBurnSlow": Firing(after=252, until=281),
    },
    "ScoringLatency: a burst in a slow burn": {
        "ScoringLatencyBurnSlow": Firing(after=136, until=221),
        "ScoringLatencyBurnSteady": Firing(after=31, until=221),
    },
    "MlflowAvailability: twice BurnSlow": {
        "MlflowAvailabilityBurnSlow": Firing(after=60, until=107),
        "MlflowAvailabilityBurnSteady": Firing(after=21, until=182),
    },
    "MlflowAvailability: nine tenths of BurnSlow": {
        "MlflowAvailabilityBurnSteady": Firing(after=75, until=105),
    },
    "MlflowAvailability: a rest of BurnSlow": {
        "MlflowAvailabilityBurnSlow": Firing(after=31, until=117),
    },
    "MlflowAvailability: twice BurnSteady": {
        "MlflowAvailabilityBurnSteady": Firing(after=60, until=123),
    },
    "MlflowAvailability: a rest of BurnSteady": {
        "MlflowAvailabilityBurnSteady": Firing(after=31, until=192),
    },
    "MlflowAvailability: night": {
        "MlflowAvailabilityBurnSlow": Firing(after=11, until=39),
        "MlflowAvailabilityBurnSteady": Firing(after=11, until=128),
    },
}
CASES = (
    *stories("ScoringAvailability", statuses, 0.001, 10, ALL, AT),
    *stories("ScoringLatency", durations, 0.01, 30, ALL, AT),
    *stories("MlflowAvailability", mlflow, 0.01, 10, SLOWER, AT),
)
