"""Follows the pointer: fetches and verifies a new bundle, and only then puts it in service."""

import asyncio
import logging
import time
from collections.abc import Callable

from service.api import metrics
from service.api.logs import caught
from service.api.openapi import NO_MODEL
from service.api.problem import Problem
from service.api.scorer import Scorer
from service.model.bundle import BundleRefused, Refusal, check_agreed, check_compatible, load, read_pointer
from service.model.stored_rule import read_rule
from service.storage import Storage, StorageError

logger = logging.getLogger(__name__)


class Watcher:
    """Holds the model in service. Any failure leaves the old one there; `refused` says why the newest is not.

    Served `to_others` is what more than this machine reaches.
    """

    def __init__(
        self, models: Storage, poll_s: float, max_leads: int, on_swap: Callable[[], None], to_others: bool = False
    ) -> None:
        self._models, self._poll_s, self._max_leads, self._on_swap = models, poll_s, max_leads, on_swap
        self._to_others = to_others
        self._generation: str | None = None
        self._rule_of: tuple[str, str | None] | None = None  # the version, and the generation of its stored rule
        self.scorer: Scorer | None = None
        self.refused: tuple[Refusal, str] | None = None

    def served(self) -> Scorer:
        """The model in service. Raises Problem where there is none yet."""
        if self.scorer is None:
            raise Problem(503, NO_MODEL, retry_s=5)
        return self.scorer

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            with caught(logger, "the pointer could not be followed"):
                scorer = await asyncio.to_thread(self.check)
                if scorer:
                    self.swap(scorer)
            await asyncio.sleep(self._poll_s)

    def check(self) -> Scorer | None:
        """What the pointer names, loaded and verified, under the rule that is stored for it, where either is new."""
        try:
            new = self._pointed()
        except StorageError as error:
            logger.warning("the models cannot be reached, the old one stays", extra={"error": str(error)})
            return None
        except BundleRefused as refusal:
            self._refuse(refusal)
            new = None
        return self._ruled(new)

    def _ruled(self, new: Scorer | None) -> Scorer | None:
        """The new model, else the one in service, under the rule that is stored for it; None where neither is new.

        A rule that cannot be read is tried again at the next poll; meanwhile the one before stays, or the bundle's.
        """
        scorer = new or self.scorer
        if scorer is None:
            return None
        version = scorer.bundle.version
        if new:
            self._rule_of = (version, None)
        try:
            stored = read_rule(self._models, version)
        except (StorageError, BundleRefused) as error:
            logger.warning("the contact rule cannot be read, the old one stays", extra={"error": str(error)})
            return new
        if self._rule_of == (version, stored.generation):
            return new
        self._rule_of = (version, stored.generation)
        return scorer.ruled_by(stored.rule or scorer.bundle.manifest.rule)

    def _pointed(self) -> Scorer | None:
        """What the pointer names, where it is new. Raises StorageError, and BundleRefused where it is not good."""
        pointed = read_pointer(self._models)
        metrics.POINTER_READ.set(time.time())
        if pointed is None:
            logger.info("waiting for a first model", extra={"models": self._models.url})
            return None
        pointer, generation = pointed
        if generation == self._generation:
            return None
        served = self.scorer and self.scorer.bundle
        if served and pointer.version == served.version:
            # Moved back to what is in service: as good as loaded, for who compares it with the last promotion.
            metrics.MODEL_LOADED.set_to_current_time()
            self._accept(generation)
            return None
        bundle = load(self._models, pointer)
        check_agreed(bundle.manifest.agreement, self._models, self._to_others)
        if served and not pointer.new_schema:
            check_compatible(bundle, served)
        scorer = Scorer(bundle, self._max_leads)
        self._accept(generation)
        return scorer

    def swap(self, scorer: Scorer) -> None:
        """Put it in service: one assignment, so that no request sees two versions."""
        previous, self.scorer = self.scorer, scorer
        if previous and previous.bundle is scorer.bundle:
            self._on_swap()
            logger.info("contact rule in service", extra={"line": scorer.rule.line, "basis": scorer.rule.basis})
            return
        if previous:
            metrics.MODEL.remove(previous.bundle.version)
        metrics.MODEL.labels(scorer.bundle.version).set(1)
        metrics.MODEL_LOADED.set(scorer.loaded_at.timestamp())
        metrics.SWAPS.inc()
        self._on_swap()
        logger.info(
            "model in service",
            extra={"version": scorer.bundle.version, "previous": previous and previous.bundle.version},
        )

    def _accept(self, generation: str) -> None:
        self._generation, self.refused = generation, None

    def _refuse(self, refusal: BundleRefused) -> None:
        """Count and log a refusal once; it is tried again at every poll, for a download can be cut short."""
        refused = (refusal.reason, str(refusal))
        if self.refused != refused:
            metrics.REFUSED.labels(refusal.reason).inc()
            logger.error(
                "bundle refused, the old model stays",
                extra={"reason": refusal.reason, "detail": str(refusal)},
            )
        self.refused = refused
