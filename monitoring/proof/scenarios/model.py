"""Stories of the model in service."""

from datetime import timedelta

from monitoring.proof.cases import Firing, Series, counter, fires, gauge, stays_silent

FIVE = timedelta(minutes=5)


def pointer(pod: str, *stuck: int) -> Series:
    """The time at which a pod read the pointer last: it stands still for so many minutes, then for so many more..."""
    after: list[tuple[int, float]] = []
    for minutes in stuck:
        after += [(minutes, 0), (5, 12 * (minutes + 5)), (60, 60)]
    return counter(f'leadscoring_pointer_last_success_timestamp_seconds{{instance="{pod}"}}', 60, *after)


def lagging(*stretches: tuple[int, int]) -> Series:
    """The same, so many seconds behind from the fifth minute of each stretch of minutes on, told every five minutes.

    What counts 60 a minute begins with its first step, and so is 300 ahead.
    """
    after: list[tuple[int, float]] = []
    behind = -300
    for minutes, lag in (*stretches, (10, 0)):
        after += [(5, 60 - (lag - behind) / 5), (minutes - 5, 60)]
        behind = lag
    return counter('leadscoring_pointer_last_success_timestamp_seconds{instance="b"}', 60, *after)


def loaded(pod: str, before: int, *after: tuple[int, int]) -> Series:
    """When a pod loaded the model it serves."""
    return gauge(f'leadscoring_model_loaded_timestamp_seconds{{instance="{pod}"}}', before, *after)


def promoted(*after: tuple[int, int]) -> Series:
    """When the model that should be served was promoted."""
    return gauge('leadscoring_champion_promoted_timestamp_seconds{job="evaluate"}', 500, *after)


def refused(reason: str, *after: tuple[int, int]) -> Series:
    """Bundles refused a minute."""
    return counter(f'leadscoring_bundle_refused_total{{reason="{reason}",instance="a"}}', 0, *after)


def trained(before: int, *after: tuple[int, int]) -> Series:
    """When the served model was trained; 0 is when the case begins."""
    return gauge('leadscoring_champion_trained_timestamp_seconds{job="evaluate"}', before, *after)


def serves(pod: str, version: str, before: int | None, *after: tuple[int, int | None]) -> Series:
    """1 while a pod serves a version."""
    return gauge(f'leadscoring_model_info{{version="{version}",instance="{pod}"}}', before, *after)


CASES = (
    fires("ModelPointerUnread", "a pod reads no pointer", pointer("a"), pointer("b", 25), after=16, until=27),
    stays_silent(
        "ModelPointerUnread", "a pod reads no pointer for 10 and for 14 minutes", pointer("b", 10, 14), lasts=120
    ),
    fires(
        "ModelFreshnessBurnSteady",
        "a pod reads no pointer for an hour",
        pointer("a"),
        pointer("b", 60),
        history=1440,
        step=FIVE,
        after=50,
        until=170,
        others={"ModelPointerUnread": Firing(after=20, until=60)},
    ),
    stays_silent(
        "ModelFreshnessBurnSteady",
        "a pod reads no pointer for 10 minutes, three times",
        pointer("b", 10, 10, 10),
        history=1440,
        step=FIVE,
        lasts=240,
    ),
    fires(
        "ModelFreshnessBurnSteady",
        "a pod is seven minutes behind for an hour, then three",
        lagging((65, 420), (180, 200)),
        history=1440,
        step=FIVE,
        after=40,
        until=175,
        lasts=300,
    ),
    stays_silent(
        "ModelFreshnessBurnSteady",
        "a pod is three minutes behind for three hours, and seven for half an hour",
        lagging((180, 200), (35, 420)),
        history=1440,
        step=FIVE,
        lasts=300,
    ),
    stays_silent(
        "ModelFreshnessBurnSteady",
        "after a first deploy a pod is three minutes behind, and seven for 25",
        lagging((60, 200), (25, 420)),
        step=FIVE,
        lasts=150,
    ),
    stays_silent(
        "ModelFreshnessBurnSteady",
        "after a first deploy no pointer is read for 10 minutes, twice",
        pointer("b", 10, 10),
        step=FIVE,
        lasts=150,
    ),
    fires(
        "ModelMovedNotLoaded",
        "one pod stays behind",
        promoted((1, 3600)),
        loaded("a", 1000, (2, 1000), (1, 3700)),
        loaded("b", 1000, (40, 1000), (1, 3900)),
        after=15,
        until=40,
    ),
    stays_silent(
        "ModelMovedNotLoaded",
        "a pod loads it after 15 minutes, another has none yet",
        promoted((1, 3600)),
        loaded("a", 1000, (15, 1000), (1, 3900)),
        loaded("b", 0),
        lasts=90,
    ),
    fires(
        "ModelBundleRefused",
        "two bundles are refused",
        refused("tampered", (1, 1), (1, 0)),
        refused("incompatible", (1, 1), (1, 0)),
        after=0,
        until=60,
        instances=2,
    ),
    stays_silent("ModelBundleRefused", "none is refused", refused("tampered"), lasts=90),
    # 45 days are 3,888,000 seconds, of which 4,000 are told here.
    fires(
        "ModelTooOld", "trained 45 days ago", trained(-3_884_000, (100, -3_884_000), (1, 9_000)), after=67, until=100
    ),
    stays_silent("ModelTooOld", "trained 44 days and 23 hours ago", trained(-3_874_000), lasts=120),
    fires(
        "PodsDisagreeOnModel",
        "one pod serves another version",
        serves("a", "v1", 1, (30, 1), (1, None)),
        serves("a", "v2", None, (30, None), (1, 1)),
        serves("b", "v1", 1, (1, None)),
        serves("b", "v2", None, (1, 1)),
        after=15,
        until=35,
    ),
    stays_silent(
        "PodsDisagreeOnModel",
        "pods follow each other within ten minutes",
        serves("a", "v1", 1, (10, 1), (1, None)),
        serves("a", "v2", None, (10, None), (1, 1)),
        serves("b", "v1", 1, (1, None)),
        serves("b", "v2", None, (1, 1)),
        lasts=60,
    ),
)
