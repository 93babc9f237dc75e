"""What a strategy reached: its figures in each block and over all, and what each of its retrainings gained."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import brier_score_loss, roc_auc_score

from service.lifecycle.backtest.strategies import Event, Kept
from service.lifecycle.backtest.world import History
from service.lifecycle.evaluation.calibration import calibration_error
from service.lifecycle.evaluation.quality import Mask, Scores, Target, profit
from service.lifecycle.promotion import challenger
from service.model.bundle import Bundle, Economics
from service.model.decide import contacts_made


@dataclass(frozen=True)
class BlockQuality:
    """Of these leads.

    `profit` and `contacts` are per 1,000 leads, of the served decisions to contact, best scores first, as many of each
    day's leads as the team can make.
    """

    leads: int
    converted: float
    mean_score: float
    brier: float
    calibration_error: float
    roc_auc: float
    profit: float
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

    overall: BlockQuality
    blocks: tuple[BlockQuality, ...]
    events: tuple[Event, ...]
    gains: tuple[Gain, ...]

    @property
    def named(self) -> dict[str, float]:
        """The figures over all, and `fits`, by name."""
        return asdict(self.overall) | {"fits": sum(event.fits for event in self.events)}


def measure(world: History, kept: Kept) -> Measured:
    """The figures of a strategy's own records, with the decisions that were taken."""
    table, target = kept.judged.scored.table, kept.judged.target
    scores, decided = table["score"].to_numpy(), (table["decision"] == "contact").to_numpy()
    parts = list(_parts(world))
    made = contacts_made(scores, decided, world.source.economics, challenger.days_of(pd.DatetimeIndex(table["time"])))
    return Measured(
        figures(target, scores, made, world.source.economics),
        tuple(figures(target[part], scores[part], made[part], world.source.economics) for part in parts),
        kept.events,
        tuple(_gains(world, kept)),
    )


def figures(target: Target, scores: Scores, made: Mask, economics: Economics) -> BlockQuality:
    """The figures of scored leads with outcomes of both kinds, and of these contacts."""
    return BlockQuality(
        leads=len(target),
        converted=float(target.mean()),
        mean_score=float(scores.mean()),
        brier=float(brier_score_loss(target, scores)),
        calibration_error=calibration_error(target, scores),
        roc_auc=float(roc_auc_score(target, scores)),
        profit=profit(target, made, economics),
        contacts=1000 * float(made.mean()),
    )


def at_random(world: History) -> float:
    """The expected profit per 1,000 leads of contacting as many leads as the team can, picked at random."""
    economics = world.source.economics
    target = world.leads.target[world.blocks[0].start :]
    return economics.contacts_per_1000_leads * (
        economics.conversion_value * float(target.mean()) - economics.contact_cost
    )


def _parts(world: History) -> Iterator[slice]:
    """Where each block's leads stand among those that were scored."""
    start = world.blocks[0].start
    return (slice(block.start - start, block.stop - start) for block in world.blocks)


def _gains(world: History, kept: Kept) -> Iterator[Gain]:
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


def _as_served(world: History, model: Bundle, rows: npt.NDArray[np.intp]) -> BlockQuality:
    scores, economics = challenger.score(model, world.leads.frame.iloc[rows]), world.source.economics
    made = contacts_made(scores, scores >= model.manifest.threshold, economics, world.days(rows))
    return figures(world.leads.target[rows], scores, made, economics)
