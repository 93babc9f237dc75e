"""What a score means for the lead: whether to contact it, and its band."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Literal

from service.model.bundle import Manifest

Decision = Literal["contact", "skip"]


class Decider:
    """The threshold and the bands of one bundle."""

    def __init__(self, manifest: Manifest) -> None:
        self._threshold = manifest.threshold
        self._bands = [(band.min_score, band.name) for band in manifest.bands]
        self._steps = sorted({self._threshold, *(least for least, _ in self._bands)})
        self._meanings = [(self.decision(score), self.band(score)) for score in (float("-inf"), *self._steps)]

    def meanings(self, scores: Iterable[float]) -> list[tuple[Decision, str]]:
        """Decision and band of each, looked up: between two steps all scores mean the same."""
        return [self._meanings[bisect_right(self._steps, score)] for score in scores]

    def decision(self, score: float) -> Decision:
        """Whether the economics say that contacting the lead pays."""
        return "contact" if score >= self._threshold else "skip"

    def band(self, score: float) -> str:
        """The first band whose least score is reached; the last one takes the rest."""
        for least, name in self._bands:
            if score >= least:
                return name
        return self._bands[-1][1]
