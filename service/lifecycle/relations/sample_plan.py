"""A sample of leads to learn from: which are kept, and how many others each of them stands for.

The newest quarter of the sample are all of the newest leads: models are judged on these alone, so that no figure is
weighted. Of the older leads as many are kept of those that converted as of the others (of converted ones all, where
they are fewer). The share kept falls with the square root of the number of younger leads. A lead is kept where the
hash of its key is small: the same leads give the same sample in Python, DuckDB and Spark, whatever their order.

As many of each outcome is what serves a logistic regression of the outcome best where few convert: the best share is
proportional to the distance of outcome and score (H. Wang, R. Zhu, P. Ma, Optimal Subsampling for Large Sample Logistic
Regression, JASA 113, 2018, section 3). The square root costs at most a quarter of the sample's worth where nothing
changes with time: (integral of 1)^2 / (integral of a^-1/2 x integral of a^1/2) = 3/4.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from service.model.bundle import SampleStratum, TrainingSample

WHOLE_SHARE = 0.25
"""Share of the sample that is the newest leads, all of them."""

DIGITS = 12
"""Hexadecimal digits of a hash that are compared, as text. A lead's place has twice as many, by which two things are
decided that must not depend on each other: the first tell whether it is kept, the others order leads of one moment."""

HOUR = 3_600_000_000
"""In microseconds. Leads are counted by hour, so that any number of them is a table of moderate size."""

NEWEST, NOT_KEPT = -1, -2

Integers = npt.NDArray[np.int64]
Places = npt.NDArray[np.bytes_]
Weights = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class Cut(NamedTuple):
    """The oldest of the newest leads. Of leads of one moment (microseconds) the one with the least tie is newest."""

    moment: int
    tie: str


@dataclass(frozen=True)
class Stratum:
    """Older leads of one outcome, of these hours (in microseconds); those whose place is less than `below` are kept.

    All of its `leads` have at least `younger` younger ones.
    """

    since: int
    until: int
    converted: bool
    younger: int
    leads: int
    below: str


@dataclass(frozen=True)
class SamplePlan:
    """Which of `leads` leads are sampled: those from `cut` on, and of the older ones those that a stratum keeps."""

    rows: int
    seed: int
    leads: int
    cut: Cut
    strata: tuple[Stratum, ...]


class Newest(NamedTuple):
    """Of each of the newest leads its moment (microseconds since 1970), the second half of its place, its outcome."""

    moments: Integers
    ties: Places
    target: Integers


class Hours(NamedTuple):
    """How many `leads` of an outcome came in an hour, counted from 1970 on."""

    hours: Integers
    target: Integers
    leads: Integers


class Population(Protocol):
    """Leads to sample from."""

    def newest(self, rows: int) -> Newest:
        """That many of the newest leads, all where they are fewer, in any order."""

    def hours(self) -> Hours:
        """All leads by hour and outcome, in any order."""


@dataclass(frozen=True)
class KnownLeads:
    """Leads in memory."""

    moments: Integers
    places: Places
    target: Integers

    def newest(self, rows: int) -> Newest:
        """See `Population`."""
        found = np.lexsort((self._ties, -self.moments))[:rows]
        return Newest(self.moments[found], self._ties[found], self.target[found])

    def hours(self) -> Hours:
        """See `Population`."""
        both, leads = np.unique(2 * (self.moments // HOUR) + self.target, return_counts=True)
        return Hours(both // 2, both % 2, leads)

    def kept(self, plan: SamplePlan) -> Integers:
        """For each lead the stratum that keeps it, NEWEST or NOT_KEPT."""
        found = np.full(len(self.target), NOT_KEPT)
        for number, stratum in enumerate(plan.strata):
            within = (self.moments >= stratum.since) & (self.moments < stratum.until)
            found[within & (self.target == stratum.converted) & (self.places < stratum.below.encode())] = number
        same = (self.moments == plan.cut.moment) & (self._ties <= plan.cut.tie.encode())
        found[(self.moments > plan.cut.moment) | same] = NEWEST
        return found

    @property
    def _ties(self) -> Places:
        halves: Places = self.places.view(f"S{DIGITS}").reshape(-1, 2)
        return halves[:, 1]


@dataclass(frozen=True)
class Drawn:
    """Of each lead of a sample: how many it stands for, and whether it is among the newest, which are all there."""

    weights: Weights
    whole: Mask
    stated: TrainingSample

    def select(self, rows: npt.NDArray[np.intp]) -> "Drawn":
        """Those at these places."""
        return Drawn(self.weights[rows], self.whole[rows], self.stated)


def place_of(key: str, seed: int) -> str:
    """A lead's place among all, by chance."""
    return hashlib.md5(f"{seed}:{key}".encode(), usedforsecurity=False).hexdigest()[: 2 * DIGITS]


def places_of(keys: Iterable[str], seed: int) -> Places:
    """The place of each lead."""
    return np.array([place_of(key, seed) for key in keys], dtype=f"S{2 * DIGITS}")


def below(share: float) -> str:
    """The text that this share of all places is less than."""
    return "g" if share >= 1 else f"{int(share * 16**DIGITS):0{DIGITS}x}"


def newest_rows(rows: int) -> int:
    """How many of the newest leads a sample of this size has."""
    return int(rows * WHOLE_SHARE)


def plan(populations: Sequence[Population], rows: int, seed: int = 0) -> SamplePlan | None:
    """How to sample about so many of all these leads; None where they are not more than that.

    The populations' places must be of the same seed.
    """
    whole = newest_rows(rows)
    newest = Newest(*map(np.concatenate, zip(*(each.newest(whole) for each in populations), strict=True)))
    counts = Hours(*map(np.concatenate, zip(*(each.hours() for each in populations), strict=True)))
    if (leads := int(counts.leads.sum())) <= rows:
        return None
    order = np.lexsort((newest.ties, -newest.moments))[:whole]
    cut = Cut(int(newest.moments[order[-1]]), newest.ties[order[-1]].decode())
    hours, by_hour = _older(counts, newest.moments[order] // HOUR, newest.target[order])
    younger = whole + np.cumsum(by_hour.sum(axis=1)) - by_hour.sum(axis=1)
    ages, starts = np.unique(np.floor(np.log2(younger / whole)).astype(np.int64), return_index=True)
    ends = np.append(starts[1:], len(hours)) - 1
    by_age = np.add.reduceat(by_hour, starts)
    kept = shares(by_age, ages, rows - whole)
    strata = tuple(
        Stratum(
            since=int(hours[end]) * HOUR,
            until=int(hours[start] + 1) * HOUR,
            converted=converted,
            younger=whole * 2 ** int(number),
            leads=int(by_age[place, int(converted)]),
            below=below(float(kept[place, int(converted)])),
        )
        for place, (number, start, end) in enumerate(zip(ages, starts, ends, strict=True))
        for converted in (False, True)
        if by_age[place, int(converted)]
    )
    return SamplePlan(rows, seed, leads, cut, strata)


def _older(counts: Hours, hours: Integers, target: Integers) -> tuple[Integers, Integers]:
    """Hours, newest first, and their leads by outcome, without leads of these hours and outcomes."""
    every = np.concatenate([counts.hours, hours])
    each, which = np.unique(-every, return_inverse=True)
    found = np.zeros((len(each), 2), dtype=np.int64)
    np.add.at(found, (which, np.concatenate([counts.target, target])), np.append(counts.leads, np.full(len(hours), -1)))
    left = found.any(axis=1)
    return -each[left], found[left]


def shares(leads: Integers, ages: Integers, rows: int) -> Weights:
    """The share to keep of each stratum (ages x 2 outcomes), so that about `rows` are kept, as many of each outcome.

    It halves where there are four times as many younger leads: `ages` are powers of two of their number.
    """
    each, found = leads.sum(axis=0), np.zeros(leads.shape)
    for outcome in (0, 1):
        wanted = max(rows / 2, rows - each[1 - outcome])
        found[:, outcome] = _falling(leads[:, outcome], 2.0 ** (-ages / 2), min(wanted, float(each[outcome])))
    return found


def _falling(leads: Integers, by_age: Weights, rows: float) -> Weights:
    """Shares of at most 1 that are proportional to `by_age` and keep so many of the leads."""
    full = np.zeros(len(leads), dtype=bool)
    while not full.all():
        weighed = float((leads * by_age)[~full].sum())
        factor = (rows - float(leads[full].sum())) / weighed if weighed else 0.0
        found = np.where(full, 1.0, factor * by_age)
        if (found <= 1).all():
            return found
        full |= found > 1
    return np.ones(len(leads))


def drawn(plan: SamplePlan, kept: Integers) -> Drawn:
    """The sample's weights. `kept` has the stratum of each of its leads, or NEWEST.

    A lead stands for its stratum's leads over those of them that are there.
    """
    sampled = np.bincount(kept[kept >= 0], minlength=len(plan.strata))
    of = np.array([stratum.leads for stratum in plan.strata]) / np.maximum(sampled, 1)
    whole = kept == NEWEST
    stated = TrainingSample(
        leads=plan.leads,
        sampled=len(kept),
        seed=plan.seed,
        whole=int(whole.sum()),
        strata=tuple(
            SampleStratum(younger=s.younger, converted=s.converted, leads=s.leads, sampled=int(count))
            for s, count in zip(plan.strata, sampled, strict=True)
        ),
    )
    return Drawn(np.where(whole, 1.0, of[np.maximum(kept, 0)]), whole, stated)
