"""What a score means for the lead: whether to contact it, and its band."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from service.model.bundle import Economics, Manifest
from service.model.contact_rule import ContactRule

Decision = Literal["contact", "skip"]
DECISIONS: tuple[Decision, Decision] = ("skip", "contact")
Places = npt.NDArray[np.intp]
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

    def explored(
        self, scores: Sequence[float] | npt.NDArray[np.float64], keys_at: Callable[[Places], Iterable[str]]
    ) -> Chosen:
        """Which of these leads are contacted although they are below the line. `keys_at` gives the keys at places."""
        return self.rule.explored(self._source, np.asarray(scores, dtype=np.float64), keys_at)

    def decision(self, score: float) -> Decision:
        """Whether the lead is contacted for its score."""
        return "contact" if score >= self.rule.line else "skip"

    def band(self, score: float) -> str:
        """The first band whose least score is reached; the last one takes the rest."""
        for least, name in self._bands:
            if score >= least:
                return name
        return self._bands[-1][1]


def contacts_made(scores: npt.NDArray[np.float64], decided: Chosen, economics: Economics) -> Chosen:
    """The contacts that the team makes: the best of those decided on, as many as it can; equal scores as they came."""
    most = int(economics.contacts_per_1000_leads * len(scores) / 1000)
    made = np.zeros(len(scores), dtype=bool)
    made[np.argsort(np.where(decided, -scores, np.inf), kind="stable")[: min(most, int(decided.sum()))]] = True
    return made
