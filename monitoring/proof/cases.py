"""What a case is: a story told in series, and which alerts it fires, when, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

STEP = timedelta(minutes=1)  # between samples, and between evaluations


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """When an alert fires, counted from the fault: from `after` on, silent again at `until`."""

    after: timedelta
    until: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A story. Alerts that `fires` does not name must stay silent from the first sample to the last."""

    story: str
    series: Mapping[str, str]  # selector -> samples, one a STEP, in promtool's notation
    fault: timedelta  # when what the story tells begins; before it lies the history
    lasts: timedelta  # how long it is watched from then on
    fires: Mapping[str, Firing] = field(default_factory=dict)


def counter(*stretches: tuple[timedelta, int | None]) -> str:
    """Samples of a counter that grows by so much a STEP in each stretch, in promtool's notation.

    None means that nothing exports it: it starts again from nothing, as a new pod's counter does.
    """
    value, samples = 0, ["0"]
    for length, growth in stretches:
        steps = length // STEP
        if growth is None:
            value = 0
            samples.append(f"_x{steps}")
        else:
            samples.append(f"{value + growth}+{growth}x{steps - 1}")
            value += growth * steps
    return " ".join(samples)
