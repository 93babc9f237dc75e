"""Stories of the probe: one sample every five minutes in Cloud Monitoring, one a scrape in a local Prometheus.

A story by runs is told from its first run on, an hour before the fault.
"""

from monitoring.proof.cases import Case, Firing, Series, Stretch, fires, gauge, stays_silent
from monitoring.proof.scenarios.front_door import checks, pod

EVERY = 5  # minutes
WELL = 12 * "+"


def probe(*after: Stretch) -> Series:
    """What a local Prometheus scrapes: whether the last probe got a score, again and again."""
    return gauge('leadscoring_probe_success{job="probe"}', 1, *after)


def runs(results: str, place: str = "a") -> Series:
    """Of each run whether it got a score (`+`), got none (`-`), or did not run (a blank); the last one goes on."""
    said = {"+": 1.0, "-": 0.0, " ": None}
    stretches = [part for result in results + 40 * results[-1] for part in ((1, said[result]), (EVERY - 1, None))]
    return Series(f'leadscoring_probe_success{{job="probe",instance="{place}"}}', None, tuple(stretches))


def callers(a_minute: float, *after: Stretch) -> tuple[Series, ...]:
    """A pod that scores so many requests, refuses others, and is asked for its health."""
    return (pod("a", a_minute, *after), pod("a", 5, status=401), pod("a", 60, route="/readyz"))


CASES = (
    # 11 of 21 scrapes after ten minutes, two of hold.
    fires(
        "NobodyIsScored",
        "no probe gets a score for half an hour, and a caller in four minutes does",
        probe((30, 0), (1, 1)),
        *callers(0.29),
        after=12,
        until=40,
        lasts=60,
    ),
    # Three of four after eleven minutes, but callers' scores are forgotten after fourteen more; two of hold.
    fires(
        "NobodyIsScored",
        "nobody gets a score any more, and callers got one a minute",
        runs(WELL + 8 * "-" + "+"),
        *callers(1, (60, 1), (40, 0), (1, 1)),
        history=0,
        after=76,
        until=105,
        lasts=180,
        others={"ProbesFailing": Firing(after=95, until=126)},
    ),
    fires(
        "NobodyIsScored",
        "no probe runs, and nobody calls",
        runs(WELL + 8 * " " + "+"),
        *callers(0),
        history=0,
        after=78,
        until=100,
        lasts=180,
    ),
    fires(
        "NobodyIsScored",
        "of the probes from two places one in four gets a score each",
        *(runs(WELL + 10 * "---+", place) for place in "ab"),
        *callers(0),
        history=0,
        after=72,
        until=181,
        lasts=180,
        others={"ProbesFailing": Firing(after=101, until=181)},
    ),
    stays_silent(
        "NobodyIsScored", "every other probe gets a score", runs(WELL + 10 * "-+"), *callers(0), history=0, lasts=160
    ),
    stays_silent(
        "NobodyIsScored",
        "the probes from one place of two get no score",
        runs(WELL + "-"),
        runs(WELL + "+", "b"),
        *callers(0),
        history=0,
        lasts=160,
    ),
    stays_silent(
        "NobodyIsScored",
        "callers of two pods get scores",
        probe((25, 0), (1, 1)),
        *(pod(name, 0.16) for name in "ab"),
        lasts=60,
    ),
    stays_silent(
        "NobodyIsScored",
        "all pods are dead",
        probe((25, 0), (1, 1)),
        pod("a", 0.2, (40, None), (1, 0.2)),
        pod("a", 60, route="/readyz"),
        lasts=60,
    ),
    # What callers suffer too pages as their failures do.
    Case(
        story="nobody gets a score, and callers' requests fail",
        series=(probe((40, 0), (1, 1)), *callers(0), pod("a", 0, (40, 1), (1, 0), status=503)),
        lasts=60,
        fires={
            "ScoringAvailabilityBurnFast": Firing(after=9, until=42),
            "ScoringAvailabilityBurnSteady": Firing(after=9, until=61),
            "ProbesFailing": Firing(after=35, until=61),
        },
        stays_silent=("NobodyIsScored",),
    ),
    Case(
        story="callers whose requests fail give up, and nobody gets a score for an hour more",
        series=(probe((75, 0), (1, 1)), *callers(0), pod("a", 0, (15, 1), (1, 0), status=503)),
        lasts=120,
        fires={
            "ScoringAvailabilityBurnFast": Firing(after=9, until=17),
            "ScoringAvailabilityBurnSteady": Firing(after=9, until=121),
            "NobodyIsScored": Firing(after=39, until=85),
            "ProbesFailing": Firing(after=35, until=105),
        },
    ),
    Case(
        story="no check and no probe arrives, then checks do, and probes get no score for 50 minutes more",
        series=(probe((70, 0), (1, 1)), *callers(0), *checks((20, 0), (1, 1), down=2)),
        lasts=120,
        fires={
            "FrontDoorDown": Firing(after=11, until=24),
            "NobodyIsScored": Firing(after=41, until=80),
            "ProbesFailing": Firing(after=35, until=100),
        },
    ),
    # 31 of 61 scrapes after half an hour, five of hold.
    fires(
        "ProbesFailing",
        "no probe gets a score for an hour, while callers do",
        probe((60, 0), (1, 1)),
        *callers(5),
        after=35,
        until=90,
        lasts=120,
    ),
    fires(
        "ProbesFailing",
        "no probe runs for two hours",
        runs(WELL + 24 * " " + "+"),
        *callers(5),
        history=0,
        after=121,
        until=180,
        lasts=240,
    ),
    stays_silent(
        "ProbesFailing", "no probe gets a score for half an hour", probe((30, 0), (1, 1)), *callers(5), lasts=120
    ),
    stays_silent(
        "ProbesFailing", "no probe runs for 55 minutes", runs(WELL + 10 * " " + "+"), *callers(5), history=0, lasts=160
    ),
)
