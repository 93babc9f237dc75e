"""By when an alert can tell of something, given the traffic: what a guard asks for must come first.

Of what is expected three standard deviations fewer are counted, so that chance keeps the promise too. What is never
reached is a promise that this traffic cannot keep; it is named, and not asked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEVIATIONS = 3

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Enough:
    """So many events or more within a window of minutes; `events` are those expected in each minute."""

    events: Array
    within: int
    least: float

    def met(self) -> NDArray[np.bool_]:
        """At the end of each minute, whether it is so."""
        came = summed(self.events, self.within)
        return np.asarray(came - DEVIATIONS * np.sqrt(came) >= self.least)


@dataclass(frozen=True, slots=True)
class Share:
    """More than a share of the events within a window of minutes is bad; both are those expected in each minute."""

    bad: Array
    events: Array
    within: int
    above: float

    def met(self) -> NDArray[np.bool_]:
        """At the end of each minute, whether it is so."""
        bad, came = summed(self.bad, self.within), summed(self.events, self.within)
        varies = bad * (1 - np.divide(bad, came, out=np.zeros_like(bad), where=came > 0))
        return np.asarray(bad - DEVIATIONS * np.sqrt(np.maximum(varies, 0)) > self.above * came)


def reached(first: int, last: int, hold: int, needs: Iterable[Enough | Share]) -> int | None:
    """Minutes from `first` until all needs have been met for `hold` minutes; None where that is never before `last`."""
    met = np.logical_and.reduce([need.met() for need in needs])
    fires = np.flatnonzero(held(met, hold)[first:last])
    return int(fires[0]) + 1 if len(fires) else None


def summed(events: Array, within: int) -> Array:
    """The events of the last minutes, at the end of each minute."""
    done = np.concatenate([[0.0], np.cumsum(events)])
    at = np.arange(1, len(done))
    return np.asarray(done[at] - done[np.maximum(at - within, 0)])


def held(true: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """Where something has been true for so many steps: Prometheus' own `for`."""
    at = np.arange(len(true))
    since = np.maximum.accumulate(np.where(true, -1, at))  # the newest step at which it was not
    return np.asarray(true & (at - since > steps))
