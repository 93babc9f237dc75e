"""How a model is kept, each way on its own: the closed loop beside never, always and ungated retraining, and an oracle.

All see the same blocks. When a block begins a strategy knows the outcomes that are final then; the oracle alone knows
the block itself. Each sitting's best leads are contacted, as many as the team can and as pay. The closed loop alone
looks for drift, which refreshes the rule that leads are explored by.
"""

from argparse import Namespace
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import numpy as np

from service import history
from service.history import DriftCheck
from service.lifecycle.backtest.world import BEGIN, History
from service.lifecycle.data.leads import Leads
from service.lifecycle.data.source import Source
from service.lifecycle.drift import drift
from service.lifecycle.evaluate import evaluate
from service.lifecycle.evaluation.labelled import LabelledLeads, Seen, matured, select
from service.lifecycle.evaluation.outcomes import LabelledScores, judge, read_outcomes
from service.lifecycle.evaluation.quality import figures
from service.lifecycle.evaluation.scored import read_scored
from service.lifecycle.promotion import challenger, gate
from service.lifecycle.retrain import retrain
from service.lifecycle.runtime.runner import JobFailed, Loop, Progress
from service.lifecycle.training import registration
from service.lifecycle.training.selection import Selection, Split
from service.model import bundle
from service.model.bundle import Bundle, Pointer
from service.model.stored_rule import read_rule
from service.rhythm import LOOP
from service.storage import Storage, open_storage

OFF = 3.0
"""Standard errors that the mean score of the last block with final outcomes may be off before a model is replaced."""

AUTHOR = "service.lifecycle.backtest"


@dataclass(frozen=True)
class Event:
    """What was decided when a block began, and why, and which version was served from then on.

    `fits` counts the models that were fitted for it; `drift` says how the leads before it differed from training's, ""
    where they did not beyond chance or nobody asked.
    """

    block: int
    action: str
    reason: str
    fits: int
    drift: str = ""
    version: str = ""


@dataclass(frozen=True)
class Kept:
    """A strategy after all blocks: its decisions, its records with their outcomes, oldest first, and what it served."""

    events: tuple[Event, ...]
    judged: LabelledScores
    bundles: dict[str, Bundle]


@dataclass(frozen=True)
class Moment:
    """A block begins; `loop` holds what can be known then."""

    world: History
    block: int
    loop: Loop


Keep = Callable[[Moment], Event | None]
"""What to do then, or None where nothing is to be decided."""


def follow(world: History, keep: Keep, folder: Path, tracking: str, tell: Progress) -> Kept:
    """Let the world pass block by block, with records, outcomes and models of this strategy's own in the folder."""
    models, predictions, leads = (open_storage(str(folder / part)) for part in ("models", "predictions", "leads"))

    def loop(now: datetime) -> Loop:
        return Loop(world.source, models, predictions, leads, tracking, now, tell)

    first = select(world.leads, np.arange(world.blocks[0].start))
    fits = serve(loop(BEGIN), first, LabelledLeads.whole(first).seen(), "the leads before the first block")
    champion = _champion(models)
    events = [Event(0, "trained", f"on {len(first.target):,} leads", fits, version=champion.version)]
    served = {champion.version: champion}
    for block in range(len(world.blocks)):
        tell(f"block {block + 1} of {len(world.blocks)}")
        world.deliver(block, leads)
        if decided := keep(Moment(world, block, loop(world.begins(block)))):
            champion = _champion(models)
            events.append(replace(decided, version=champion.version))
            served[champion.version] = champion
        # As the service and batch do: drift may have refreshed the rule.
        world.score(block, champion, read_rule(models, champion.version).rule, predictions)
    over = len(world.blocks) + 1
    for block in (over - 1, over):
        world.deliver(block, leads)
    scored = read_scored(predictions, BEGIN, world.begins(over))
    judged = judge(scored, read_outcomes(world.source, world.leads.outcomes, leads), world.begins(over), world.period)
    return Kept(tuple(events), judged, served)


def closed_loop(at: Moment) -> Event:
    """The real jobs in the rhythm of the cloud: evaluate, look for drift, retrain, promote what passes the gate."""
    with redirect_stdout(StringIO()):  # where the jobs show their own tables
        if at.block >= 2:
            with suppress(JobFailed):  # too few leads to judge: as under its schedule the loop goes on
                evaluate(at.loop, Namespace(days=LOOP.evaluated_days, counter=None, engine="duckdb"))
        if at.block >= 1:
            drift(at.loop, Namespace(days=LOOP.drift_days, leads_at_least=LOOP.drift_leads, engine="duckdb"))
    check = history.at(at.loop.models, DriftCheck, at.loop.now)
    drifted = "; ".join(check.reasons) if check and check.found else ""
    decision = retrain(at.loop, LOOP.trigger, cool_down=timedelta(days=LOOP.cool_down_days))
    once = _fits(at.loop.source)
    fits = once + 1 if decision.action == "promoted" else once if decision.figures else 0
    return Event(at.block, decision.action, decision.reason, fits, drifted)


def never(_: Moment) -> None:
    """Serve the first model for good."""


def always(at: Moment) -> Event | None:
    """Replace the model at every block for which there are new outcomes."""
    return _replace(at, "at every block") if at.block >= 2 else None


def on_trigger(at: Moment) -> Event | None:
    """Replace the model, without a gate, where the last block with final outcomes was scored too high or too low."""
    if at.block < 2:
        return None
    begin, end = (at.world.begins(at.block - back) for back in (2, 1))
    scored = read_scored(at.loop.predictions, begin, end)
    last = judge(
        scored, read_outcomes(at.loop.source, at.world.leads.outcomes, at.loop.leads), at.loop.now, at.world.period
    )
    off = gate.errors_off(last.target, last.scored.table["score"].to_numpy())
    return _replace(at, f"the mean score was {abs(off):.1f} standard errors off") if abs(off) > OFF else None


def oracle(at: Moment) -> Event:
    """Know the block's outcomes, and train on them: what no strategy can reach."""
    fits = serve(at.loop, select(at.world.leads, at.world.rows(at.block)), Seen(0, None), "the block itself")
    return Event(at.block, "trained", "on the block itself", fits)


STRATEGIES: dict[str, Keep] = {
    "closed": closed_loop,
    "trigger": on_trigger,
    "always": always,
    "never": never,
    "oracle": oracle,
}


def serve(loop: Loop, leads: Leads, seen: Seen, reason: str) -> int:
    """Fit the source's recipe on all these leads, publish the bundle and point to it; return the number of fits."""
    fitted = challenger.by_recipe(loop.source)(leads)
    # The bands follow from how recent leads score.
    rows = np.arange(len(leads.target))[-challenger.MOST :]
    target, scores = leads.target[rows], fitted.pipeline.predict_proba(leads.frame.iloc[rows])[:, 1]
    threshold = loop.source.economics.threshold
    chosen = Selection(
        fitted.candidate,
        fitted.pipeline,
        Split(np.arange(len(leads.target)), rows, "none; figures are of leads that it was trained on"),
        target,
        scores,
        threshold,
        {fitted.candidate: figures(target, scores, threshold, loop.source.economics)},
        {},
        (),
    )
    ready = registration.prepare(loop.source, leads, chosen, seen, "none", loop.now)
    pointed = bundle.read_pointer(loop.models)
    pointer = Pointer(
        version=ready.manifest.version,
        sums_sha256=registration.publish(loop.models, ready),
        moved_at=loop.now,
        moved_by=AUTHOR,
        reason=reason,
    )
    bundle.move_pointer(loop.models, pointer, pointed[1] if pointed else None)
    return _fits(loop.source)


def _replace(at: Moment, reason: str) -> Event:
    loop = at.loop
    schema = _champion(loop.models).manifest.lead_schema
    every = matured(loop.source, schema, loop.predictions, loop.leads, loop.now)
    return Event(at.block, "replaced", reason, serve(loop, every.leads, every.seen(), reason))


def _fits(source: Source) -> int:
    """Models that the recipe fits to make one: where the metric decides, each candidate and then the best again."""
    return 4 if source.recipe.candidate == "best" else 1


def _champion(models: Storage) -> Bundle:
    pointed = bundle.read_pointer(models)
    if pointed is None:
        raise AssertionError("a strategy serves a model from its first block on")
    return bundle.load(models, pointed[0])
