"""Stories of the model in service."""

from datetime import timedelta

from monitoring.proof.cases import Firing, Series, counter, fires, gauge, spares

FIVE = timedelta(minutes=5)


def pointer(pod: str, *stuck: int) -> Series:
    """The time at which a pod read the pointer last: it stands still for so many minutes, then for so many more..."""
    after: list[tuple[int, float]] = []
    for minutes in stuck:
        after += [(minutes, 0), (5, 12 * (minutes + 5)), (60, 60)]
    return counter(f'leadscoring_pointer_last_success_timestamp_seconds{{instance="{pod}"}}', 60, *after)


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
    spares("ModelPointerUnread", "a pod reads no pointer for 10 and for 14 minutes", pointer("b", 10, 14), lasts=120),
    fires(
        "ModelFreshnessBurnSteady",
        "a pod reads no pointer for an hour",
        pointer("a"),
        pointer("b", 60),
        history=1440,
        step=FIVE,
        after=50,
        until=180,
        others={"ModelPointerUnread": Firing(after=20, until=60)},
    ),
    spares(
        "ModelFreshnessBurnSteady",
        "a pod reads no pointer for 10 minutes, three times",
        pointer("b", 10, 10, 10),
        history=1440,
        step=FIVE,
        lasts=240,
    ),
    spares(
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
    spares(
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
    spares("ModelBundleRefused", "none is refused", refused("tampered"), lasts=90),
    # 45 days are 3,888,000 seconds, of which 4,000 are told here.
    fires(
        "ModelTooOld", "trained 45 days ago", trained(-3_884_000, (100, -3_884_000), (1, 9_000)), after=67, until=100
    ),
    spares("ModelTooOld", "trained 44 days and 23 hours ago", trained(-3_874_000), lasts=120),
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
    spares(
        "PodsDisagreeOnModel",
        "pods follow each other within ten minutes",
        serves("a", "v1", 1, (10, 1), (1, None)),
        serves("a", "v2", None, (10, None), (1, 1)),
        serves("b", "v1", 1, (1, None)),
        serves("b", "v2", None, (1, 1)),
        lasts=60,
    ),
)
