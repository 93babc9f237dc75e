"""What the gate promises, measured on generated leads: `scripts/bench gate`; 1 if a bar is missed.

In each trial three models are really trained, on leads of their own: two equal ones, and one that never saw the job
level, as if it had been recorded only since; that costs .03 ROC-AUC. The equal ones must hardly ever take each
other's place, and the whole one nearly always that of the blind one.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
from rich.console import Console

from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.sample import Sample
from service.lifecycle.data.source import Metric, Source, load_source
from service.lifecycle.evaluation.labelled import select
from service.lifecycle.evaluation.quality import Scores, figures
from service.lifecycle.evaluation.segments import segments
from service.lifecycle.promotion import gate
from service.lifecycle.promotion.gate import Contender, Rules, Verdict
from service.lifecycle.runtime.runner import shown_progress
from service.lifecycle.training.candidates import candidates
from service.lifecycle.training.selection import fit

EQUAL, BETTER = 0.05, 0.9
"""Share of the trials in which equal models may promote at most, and the better one must at least."""
GAP, TOLERANCE = 0.03, 0.005
"""How much better the better model is in ROC-AUC, and how far the trials' mean may be from that."""
BLIND = "job_level"
SAMPLE = Path(__file__).parents[2] / "service/examples/sample.toml"
EXAMPLES = """examples:
  scripts/bench gate --trials 200      about 6 minutes on one core
  scripts/bench gate --trials 20 --metric profit

exit status: 0 both bars are kept, 1 one is missed, 2 wrong use
"""


@dataclass(frozen=True)
class Trial:
    """What became of a challenger that is equal, and of one that is better by `gap` on these very leads."""

    equal: Verdict
    better: Verdict
    gap: float


def trials(count: int, leads: int, metric: Metric) -> Iterator[Trial]:
    """So many trials on windows of so many leads, of seeds 1 to `count`."""
    source = load_source(SAMPLE).model_copy(update={"metric": metric})
    for seed in range(1, count + 1):
        rows = 3 * leads
        whole = load(source.model_copy(update={"sample": Sample(rows=rows, seed=seed)}))
        mine, theirs, window = (select(whole, part) for part in np.array_split(np.arange(rows), 3))
        blind = replace(mine, frame=mine.frame.assign(**{BLIND: ""}))
        scored = [_scores(source, train, window) for train in (mine, blind, theirs)]
        equal, worse, challenger = (Contender(each, source.economics.threshold) for each in scored)
        rules = Rules()
        large = segments(window.schema, window.frame, window.target, rules.large, rules.segment_outcomes)
        verdicts = [
            gate.decide(window.target, champion, challenger, metric, source.economics, large, seed=seed)
            for champion in (equal, worse)
        ]
        auc = [figures(window.target, c.scores, c.threshold, source.economics)["roc_auc"] for c in (worse, challenger)]
        yield Trial(verdicts[0], verdicts[1], auc[1] - auc[0])


def _scores(source: Source, train: Leads, window: Leads) -> Scores:
    pipeline = candidates(train.schema, train.frame)["logistic_regression"]
    return fit(pipeline, train.frame, train.target, window.frame, source.recipe)


def missed(found: Sequence[Trial]) -> list[str]:
    """The bars that these trials miss, a line each."""
    equal, better, gap = summary(found)
    said = []
    if equal > EQUAL:
        said.append(f"equal models promote in {equal:.1%} of the trials, {EQUAL:.0%} is allowed")
    if better < BETTER:
        said.append(f"a better model is promoted in {better:.1%} of the trials, {BETTER:.0%} is asked for")
    if abs(gap - GAP) > TOLERANCE:
        said.append(f"the better model is better by {gap:.4f} ROC-AUC in the mean, not by {GAP}: the bar means nothing")
    return said


def summary(found: Sequence[Trial]) -> tuple[float, float, float]:
    """Share of trials in which the equal and the better challenger was promoted, and the mean gap."""
    shares = [float(np.mean([verdict.promote for verdict in each])) for each in _verdicts(found)]
    return shares[0], shares[1], float(np.mean([trial.gap for trial in found]))


def _verdicts(found: Sequence[Trial]) -> tuple[list[Verdict], list[Verdict]]:
    return [trial.equal for trial in found], [trial.better for trial in found]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench gate",
        description="Measure how often the gate promotes a model that is no better, and one that is.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--trials", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--leads", type=int, default=4_000, help="leads to judge by (default: %(default)s)")
    parser.add_argument("--metric", choices=get_args(Metric), default="roc_auc", help="default: %(default)s")
    given = parser.parse_args(arguments)
    if given.trials < 1 or given.leads < Rules().leads:
        parser.error(f"give at least one trial and {Rules().leads} leads")
    out = Console()
    with shown_progress(Console(stderr=True)) as tell:
        found: list[Trial] = []
        for trial in trials(given.trials, given.leads, given.metric):
            found.append(trial)
            equal, better = (sum(v.promote for v in verdicts) for verdicts in _verdicts(found))
            tell(f"trial {len(found)} of {given.trials}: promoted so far {equal} equal, {better} better")
    for name, verdicts in zip(("equal", "better"), _verdicts(found), strict=True):
        ways = {way: sum(v.by == way for v in verdicts) for way in ("gain", "calibration")}
        said = f"{name}: {sum(ways.values())} of {len(found)} promoted, {ways['gain']} by gain in {given.metric}, "
        out.print(f"{said}{ways['calibration']} by calibration", highlight=False)
    out.print(f"the better one is better by {summary(found)[2]:.4f} ROC-AUC in the mean", highlight=False)
    for line in missed(found):
        out.print(f"missed: {line}", style="red", highlight=False)
    return 1 if missed(found) else 0


if __name__ == "__main__":
    sys.exit(main())
