"""What a score means for the lead: whether to contact it, and its band."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from service.model.bundle import Economics, Manifest
from service.model.contact_rule import ContactRule

Decision = Literal["contact", "skip"]
DECISIONS: tuple[Decision, Decision] = ("skip", "contact")
Chosen = npt.NDArray[np.bool_]


class Decider:
    """The line and the bands of one bundle, by its own contact rule or by one that took that one's place.

    Between two steps (the line, or a band's least score) all scores mean the same, so scores are looked up. Which leads
    below the line are explored depends on their keys, and is found apart.
    """

    def __init__(self, manifest: Manifest, rule: ContactRule | None = None) -> None:
        self.rule = rule or manifest.rule
        self._source = manifest.provenance.source
        self._bands = [(band.min_score, band.name) for band in manifest.bands]
        self._steps = sorted({self.rule.line, *(least for least, _ in self._bands)})
        self._meanings = [(self.decision(score), self.band(score)) for score in (float("-inf"), *self._steps)]
        self.bands = tuple(name for _, name in self._bands)
        self._decision_places = np.array([DECISIONS.index(decision) for decision, _ in self._meanings], dtype=np.int8)
        self._band_places = np.array([self.bands.index(band) for _, band in self._meanings], dtype=np.int32)

    def meanings(self, scores: Iterable[float]) -> list[tuple[Decision, str]]:
        """Decision by the line, and band, of each: for the few scores of a request."""
        return [self._meanings[bisect_right(self._steps, score)] for score in scores]

    def places(self, scores: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32]]:
        """Where decision by the line, and band, of each stand in DECISIONS and `bands`: for a column of scores."""
        steps = np.searchsorted(self._steps, scores, side="right")
        return self._decision_places[steps], self._band_places[steps]

    def drawn(self, lead_keys: Iterable[str]) -> Chosen:
        """For each of these leads whether it is explored where it is below the line."""
        return np.array(self.rule.drawn(self._source, lead_keys), dtype=bool)

    def decision(self, score: float) -> Decision:
        """Whether the lead is contacted for its score."""
        return "contact" if score >= self.rule.line else "skip"

    def band(self, score: float) -> str:
        """The first band whose least score is reached; the last one takes the rest."""
        for least, name in self._bands:
            if score >= least:
                return name
        return self._bands[-1][1]


class ContactList(NamedTuple):
    """Which leads of a list are contacted: for their rank, and the explored ones. Explored is no lead of a rank."""

    ranked: Chosen
    explored: Chosen

    def part(self, start: int, count: int) -> "ContactList":
        """What it says of so many leads from this one on."""
        return ContactList(self.ranked[start : start + count], self.explored[start : start + count])


def most_contacts(count: int, pays: int, economics: Economics) -> int:
    """The contacts that the team makes of a list of so many leads, of which so many pay: its capacity, rounded half up.

    At least one where a lead pays, so that a short list is not left without any. Without a limit of contacts there are
    as many as leads that pay.
    """
    capacity = economics.contacts_per_1000_leads
    if capacity >= 1000:
        return pays
    return max(int(capacity * count / 1000 + 0.5), int(pays > 0))


def contact_list(scores: npt.NDArray[np.float64], drawn: Chosen, threshold: float, economics: Economics) -> ContactList:
    """The contacts of a list of leads: the best that fit beside the explored ones, then these.

    Explored are all that are `drawn` and not among the best: a lead that is not has its probability, however many
    others are drawn. With them there are never more contacts than `most_contacts`, unless more are drawn than that. Of
    equal scores the first counts as the better.
    """
    count, pays = len(scores), int((scores >= threshold).sum())
    most = most_contacts(count, pays, economics)
    order = np.argsort(-scores, kind="stable")
    drawn_outside = int(drawn.sum()) - np.concatenate(([0], np.cumsum(drawn[order])))
    numbers = np.arange(min(most, pays) + 1)
    # One lead more by rank is at most one explored less: the sum never falls.
    best = int(numbers[numbers + drawn_outside[numbers] <= most].max(initial=0))
    ranked = np.zeros(count, dtype=bool)
    ranked[order[:best]] = True
    return ContactList(ranked, drawn & ~ranked)


def contacts_made(
    scores: npt.NDArray[np.float64],
    decided: Chosen,
    economics: Economics,
    days: npt.NDArray[np.int64] | None = None,
) -> Chosen:
    """The contacts that the team makes: the best of those decided on, as many as it can; equal scores as they came.

    As many as it can of each day's leads, where the `days` are given: what a day's capacity has beyond whole contacts,
    the next day has. Without them all leads count as of one day.
    """
    count = len(scores)
    day = np.zeros(count, dtype=np.int64) if days is None else np.unique(days, return_inverse=True)[1]
    leads = np.bincount(day)
    reached = np.cumsum(leads)
    most = np.diff((economics.contacts_per_1000_leads * reached / 1000).astype(np.int64), prepend=0)
    order = np.lexsort((np.where(decided, -scores, np.inf), day))
    places = np.empty(count, dtype=np.int64)
    places[order] = np.arange(count) - np.repeat(reached - leads, leads)
    return decided & (places < most[day])
