"""A challenger on all matured leads, and the gate: `python -m service.lifecycle.retrain`.

One at a time, by a lease. Whatever is decided, also that nothing is due, is recorded in MLflow and in the bucket.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from itertools import takewhile
from typing import Literal, get_args

from rich.console import Console

from service import history, tracking
from service.history import Decision, DriftCheck, Trigger
from service.lifecycle.evaluation.labelled import LabelledLeads, matured
from service.lifecycle.promotion import lease
from service.lifecycle.promotion.challenger import challenge, refit, score, to_judge_by, window
from service.lifecycle.promotion.gate import Rules, Verdict, miscalibration
from service.lifecycle.promotion.power import Look
from service.lifecycle.promotion.reconcile import repair
from service.lifecycle.relations import engines
from service.lifecycle.runtime import runner
from service.lifecycle.runtime.gauges import Gauge
from service.lifecycle.runtime.runner import JobFailed, Loop
from service.lifecycle.training import registration
from service.lifecycle.training.model_card import sampled
from service.lifecycle.training.onnx_export import ParityError
from service.lifecycle.training.registration import Release
from service.lifecycle.training.selection import TooFewOutcomes
from service.model import bundle
from service.model.bundle import Bundle, Pointer
from service.rhythm import LOOP
from service.tracking import Run

AUTHOR = "service.lifecycle.retrain"
COOL_DOWN = timedelta(days=LOOP.cool_down_days)
LOOK_BACK = 50
"""Decisions read to find the last retraining."""

EXAMPLES = """  python -m service.lifecycle.retrain --source crm.toml --models gs://models --leads gs://leads \\
      --predictions gs://predictions --tracking http://127.0.0.1:5000
  python -m service.lifecycle.retrain --source crm.toml --trigger drift            only if drift was found
  python -m service.lifecycle.retrain --source crm.toml --trigger hand --force     however short ago the last one was
"""


def retrain(
    loop: Loop,
    trigger: Trigger = LOOP.trigger,
    force: bool = False,
    cool_down: timedelta = COOL_DOWN,
    rules: Rules | None = None,
    lease_seconds: float = lease.SECONDS,
    engine: str = "duckdb",
) -> Decision:
    """Decide whether a retraining is due, train a challenger, and serve it if it passes the gate.

    In an order that leaves a verified and recorded model served wherever it stops: MLflow run and registered version,
    bundle, pointer, and last audit record and alias, which `repair` does as well. `force` skips trigger and cool-down,
    never the gate. Raises JobFailed (another one is at work; nothing is served yet), RelationsFailed, SourceError,
    TrackingError, BundleRefused and StorageError (Conflict: somebody else moved the pointer meanwhile).
    """
    bundle.check_agreed(loop.source.agreement, loop.models)
    with lease.hold(loop.models, "retrain", loop.tell, lease_seconds) as held:
        pointed = bundle.read_pointer(loop.models)
        if pointed is None:
            raise JobFailed(f"{loop.models.url} serves nothing yet; train first: python -m service.lifecycle.train")
        pointer, generation = pointed
        champion = bundle.load(loop.models, pointer)
        if champion.manifest.provenance.source != loop.source.name:
            raise JobFailed(
                f"{loop.models.url} serves leads of the source {champion.manifest.provenance.source!r}, not of "
                f"{loop.source.name!r}; give this source a place of its own with --models"
            )
        tags = {"source": loop.source.name, "job": "retrain"}
        tracking.end_abandoned(loop.tracking, loop.source.name, tags)
        with tracking.tracked_run(loop.tracking, loop.source.name, tags | {"trigger": trigger}) as run:
            attempt = _Attempt(loop, trigger, champion, rules or Rules(), _look(loop, pointer), run, engine)
            idle = None if force else _resting(loop, pointer, cool_down) or _no_drift(loop, pointer, trigger)
            decision, ready = (attempt.decided("kept", idle), None) if idle else attempt.make(force)
            run.note({"decision": "passed the gate" if ready else decision.action, "reason": decision.reason})
            run.log({}, {f"compared.{name}": estimate.value for name, estimate in decision.figures.items()})
            run.log({}, _power(decision))
        if ready is None:
            history.append(loop.models, decision)
            return decision
        loop.tell(f"publishing {ready.manifest.version} to {loop.models.url}")
        moved = Pointer(
            version=ready.manifest.version,
            sums_sha256=registration.publish(loop.models, ready),
            moved_at=loop.now,
            moved_by=AUTHOR,
            reason=decision.reason,
            trigger=trigger,
            before=champion.version,
        )
        held.check()
        bundle.move_pointer(loop.models, moved, generation)
        repair(loop.models, loop.tracking)
        return decision


@dataclass(frozen=True)
class _Attempt:
    """One retraining, from the leads to a decision."""

    loop: Loop
    trigger: Trigger
    champion: Bundle
    rules: Rules
    look: Look
    run: Run
    engine: str

    def make(self, force: bool) -> tuple[Decision, Release | None]:
        """Train, compare, and where the challenger passed fit again, check and record what is to be served."""
        loop, source = self.loop, self.loop.source
        loop.tell("reading the leads with final outcomes")
        schema = self.champion.manifest.lead_schema
        every = matured(source, schema, loop.predictions, loop.leads, loop.now, engine=self.engine, tell=loop.tell)
        if self.trigger == "calibration" and not force and (idle := self._calibrated(every)):
            return self.decided("kept", idle), None
        if every.leads.drawn:
            loop.note(sampled(every.leads.drawn.stated))
        if every.doubt:
            loop.note(f"contacts may be missing, and with them outcomes: {every.doubt}")
        loop.tell("training a challenger, and comparing it with the champion")
        self.run.log({f"gate.{name}": value for name, value in asdict(self.rules).items()}, {})
        try:
            tried = challenge(every, self.champion, source, rules=self.rules, look=self.look)
            verdict = tried.verdict
            if tried.chosen is None or not verdict.promote:
                return self.decided("refused", verdict.reason, verdict), None
            loop.tell("it is better; fitting it again on all leads")
            chosen = refit(every, tried.chosen, source)
            seen, was = every.seen(), self.champion.version
            ready = registration.prepare(
                source,
                every.leads,
                chosen,
                seen,
                self.run.id,
                loop.now,
                was,
                verdict.figures,
                leaks=self.champion.manifest.leaks,  # the inputs are the same
            )
        except (TooFewOutcomes, ParityError) as error:
            return self.decided("refused", str(error)), None
        loop.tell(f"recording the run at {loop.tracking}")
        registration.record(ready, source, every.leads, chosen, self.run)
        return self.decided("promoted", verdict.reason, verdict, ready.manifest.version), ready

    def decided(
        self,
        action: Literal["promoted", "refused", "kept"],
        reason: str,
        verdict: Verdict | None = None,
        version: str | None = None,
    ) -> Decision:
        """The audit record."""
        return Decision(
            time=self.loop.now,
            action=action,
            trigger=self.trigger,
            version=version,
            before=self.champion.version,
            author=AUTHOR,
            reason=reason,
            figures=verdict.figures if verdict else {},
            mlflow_run_id=self.run.id,
            power=verdict.power if verdict else None,
        )

    def _calibrated(self, every: LabelledLeads) -> str | None:
        """Why the champion's calibration is no reason to retrain."""
        rows = window(every.leads.target, to_judge_by(every, self.champion), self.rules)
        if rows is None:
            return "too few leads that the champion has not seen to tell whether it is calibrated"
        target, scores = every.leads.target[rows], score(self.champion, every.leads.frame.iloc[rows])
        return None if miscalibration(target, scores, self.rules) else "the champion is calibrated within noise"


def _look(loop: Loop, pointer: Pointer) -> Look:
    """How often challengers were compared with this champion since it is served, and the leads that the last asked for.

    Times are of the loop's clock, which may be simulated: what was decided later than now is not counted.
    """
    made = history.between(loop.models, Decision, pointer.moved_at, loop.now)
    before = [d for d in made if d.author == AUTHOR and d.figures and d.before == pointer.version]
    last = before[-1].power if before else None
    return Look(len(before) + 1, loop.source.interesting_gain, last.leads_needed if last else None)


def _power(decision: Decision) -> dict[str, float]:
    """The comparison's power as the run's metrics."""
    power = decision.power
    return (
        {f"power.{name}": getattr(power, name) for name in ("detectable", "interesting", "leads", "look")}
        if power
        else {}
    )


def _resting(loop: Loop, pointer: Pointer, cool_down: timedelta) -> str | None:
    """Why it is too early after the last retraining, or after the model served was put there."""
    decisions = history.latest(loop.models, Decision, LOOK_BACK)
    tried = [d.time for d in decisions if d.author == AUTHOR and d.action in ("promoted", "refused")]
    last = max([pointer.moved_at, *tried])
    if loop.now - last >= cool_down:
        return None
    return f"last retrained or promoted at {last:%Y-%m-%d %H:%M} UTC; the next is due {last + cool_down:%Y-%m-%d %H:%M}"


def _no_drift(loop: Loop, pointer: Pointer, trigger: Trigger) -> str | None:
    """Why drift is no reason to retrain, where it is asked about."""
    if trigger != "drift":
        return None
    checks = history.latest(loop.models, DriftCheck)
    found = [c for c in checks if c.found and c.model_version == pointer.version and c.time > pointer.moved_at]
    return None if found else f"the last drift check found none since {pointer.version} is served"


def _gauges(loop: Loop) -> list[Gauge]:
    """What monitoring is told about the served model and the challengers."""
    gauges = []
    if pointed := bundle.read_pointer(loop.models):
        trained = bundle.load(loop.models, pointed[0]).manifest.provenance.trained_at
        gauges += [
            Gauge("leadscoring_champion_trained_timestamp_seconds", trained.timestamp()),
            Gauge("leadscoring_champion_promoted_timestamp_seconds", pointed[0].moved_at.timestamp()),
        ]
    decisions = [d.action for d in history.latest(loop.models, Decision, LOOK_BACK) if d.action != "kept"]
    refused = list(takewhile(lambda action: action == "refused", reversed(decisions)))
    return [*gauges, Gauge("leadscoring_challenger_refused_in_a_row", len(refused))]


def _work(loop: Loop, options: argparse.Namespace) -> list[Gauge]:
    loop = replace(loop, source=runner.sampled_to(loop.source, options.rows))
    cool_down = timedelta(days=options.cool_down)
    decision = retrain(loop, options.trigger, options.force, cool_down, engine=options.engine)
    line = f"{decision.action}: {decision.version or decision.before}: {decision.reason}"
    Console().print(line, markup=False, highlight=False, soft_wrap=True)
    return _gauges(loop)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status, 0 also where the challenger was refused."""
    parser = runner.parser(
        "retrain", "Train a challenger on all matured leads; serve it if it passes the gate.", EXAMPLES
    )
    parser.add_argument(
        "--trigger",
        choices=get_args(Trigger),
        default=LOOP.trigger,
        help="why; drift and calibration retrain only where they were found (default: %(default)s)",
    )
    parser.add_argument(
        "--force", action="store_true", help="without asking trigger and cool-down; never past the gate"
    )
    parser.add_argument(
        "--cool-down",
        type=float,
        metavar="DAYS",
        default=COOL_DOWN / timedelta(days=1),
        help="least time since the last retraining or promotion (default: %(default)g)",
    )
    runner.add_rows(parser)
    engines.add_engine(parser)
    return runner.run("retrain", parser, _work, repair, arguments)


if __name__ == "__main__":
    sys.exit(main())
