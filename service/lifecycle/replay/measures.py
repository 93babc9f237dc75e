"""What a strategy reached: its figures in each block and over all, and what each of its retrainings gained."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from sklearn.metrics import brier_score_loss, roc_auc_score

from service.lifecycle import challenge
from service.lifecycle.figures import Scores, Target, calibration_error, profit
from service.lifecycle.replay.strategies import Event, Kept
from service.lifecycle.replay.world import World
from service.model.bundle import Bundle, Economics

Contacted = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Figures:
    """Of these leads. Profits and `contacts` are per 1,000 leads, of what the team can make, best scores first.

    `profit` is that of contacting those whose score says that it pays; `served_profit` that of the served decisions,
    whose threshold also holds the capacity of the leads that the model was judged on.
    """

    leads: int
    converted: float
    mean_score: float
    brier: float
    calibration_error: float
    roc_auc: float
    profit: float
    served_profit: float
    contacts: float


@dataclass(frozen=True)
class Gain:
    """What a retraining changed, against the model before it, on the blocks from `block` on that it served."""

    block: int
    blocks: int
    brier: float
    calibration_error: float
    profit: float


@dataclass(frozen=True)
class Measured:
    """A strategy's figures over all leads and in each block."""

    overall: Figures
    blocks: tuple[Figures, ...]
    events: tuple[Event, ...]
    gains: tuple[Gain, ...]

    @property
    def named(self) -> dict[str, float]:
        """The figures over all, and `fits`, by name."""
        return asdict(self.overall) | {"fits": sum(event.fits for event in self.events)}


def measure(world: World, kept: Kept) -> Measured:
    """The figures of a strategy's own records, with the decisions that were taken."""
    table, target = kept.judged.scored.table, kept.judged.target
    scores, decided = table["score"].to_numpy(), (table["decision"] == "contact").to_numpy()
    economics, parts = world.source.economics, list(_parts(world))
    pays, served = (
        np.concatenate([within_capacity(scores[part], wanted[part], economics) for part in parts])
        for wanted in (scores >= economics.contact_cost / economics.conversion_value, decided)
    )
    return Measured(
        figures(target, scores, pays, served, economics),
        tuple(figures(target[part], scores[part], pays[part], served[part], economics) for part in parts),
        kept.events,
        tuple(_gains(world, kept)),
    )


def figures(target: Target, scores: Scores, pays: Contacted, served: Contacted, economics: Economics) -> Figures:
    """The figures of scored leads with outcomes of both kinds, and of these contacts."""
    return Figures(
        leads=len(target),
        converted=float(target.mean()),
        mean_score=float(scores.mean()),
        brier=float(brier_score_loss(target, scores)),
        calibration_error=calibration_error(target, scores),
        roc_auc=float(roc_auc_score(target, scores)),
        profit=profit(target, pays, economics),
        served_profit=profit(target, served, economics),
        contacts=1000 * float(pays.mean()),
    )


def within_capacity(scores: Scores, wanted: Contacted, economics: Economics) -> Contacted:
    """Those of the wanted contacts that the team can make in this block, best scores first."""
    most = int(economics.contacts_per_1000_leads * len(scores) / 1000)
    made = np.zeros(len(scores), dtype=bool)
    made[np.argsort(np.where(wanted, -scores, np.inf), kind="stable")[: min(most, int(wanted.sum()))]] = True
    return made


def at_random(world: World) -> float:
    """The expected profit per 1,000 leads of contacting as many leads as the team can, picked at random."""
    economics = world.source.economics
    target = world.leads.target[world.blocks[0].start :]
    return economics.contacts_per_1000_leads * (
        economics.conversion_value * float(target.mean()) - economics.contact_cost
    )


def _parts(world: World) -> Iterator[slice]:
    """Where each block's leads stand among those that were scored."""
    start = world.blocks[0].start
    return (slice(block.start - start, block.stop - start) for block in world.blocks)


def _gains(world: World, kept: Kept) -> Iterator[Gain]:
    """Each model on the blocks that it served, beside the one that it replaced."""
    changes = [e for i, e in enumerate(kept.events) if i == 0 or e.version != kept.events[i - 1].version]
    ends = [*(event.block for event in changes[1:]), len(world.blocks)]
    for (old, new), end in zip(pairwise(changes), ends[1:], strict=True):
        rows = np.concatenate([world.rows(block) for block in range(new.block, end)])
        before, after = (_as_served(world, kept.bundles[event.version], rows) for event in (old, new))
        yield Gain(
            new.block,
            end - new.block,
            before.brier - after.brier,
            before.calibration_error - after.calibration_error,
            after.profit - before.profit,
        )


def _as_served(world: World, model: Bundle, rows: npt.NDArray[np.intp]) -> Figures:
    scores, economics = challenge.score(model, world.leads.frame.iloc[rows]), world.source.economics
    pays, served = (
        within_capacity(scores, scores >= threshold, economics)
        for threshold in (economics.contact_cost / economics.conversion_value, model.manifest.threshold)
    )
    return figures(world.leads.target[rows], scores, pays, served, economics)
