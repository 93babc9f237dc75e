"""What a score means for the lead: whether to contact it, and its band."""

from typing import Literal

from service.model.bundle import Manifest

Decision = Literal["contact", "skip"]


class Decider:
    """The threshold and the bands of one bundle."""

    def __init__(self, manifest: Manifest) -> None:
        self._threshold = manifest.threshold
        self._bands = [(band.min_score, band.name) for band in manifest.bands]

    def decision(self, score: float) -> Decision:
        """Whether the economics say that contacting the lead pays."""
        return "contact" if score >= self._threshold else "skip"

    def band(self, score: float) -> str:
        """The first band whose least score is reached; the last one takes the rest."""
        for least, name in self._bands:
            if score >= least:
                return name
        return self._bands[-1][1]
