"""What the estimate without outcomes promises after a promotion: `python -m tests.benchmarks.loop.label_free`.

On the sample's leads a challenger of trees is judged on the newest leads, fitted again on all, exported and described
as a promotion does it. Then fresh leads are scored, whose figures the reference must foretell.
"""

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from sklearn.metrics import roc_auc_score

from service.history import Estimate
from service.lifecycle.data.leads import load
from service.lifecycle.data.sample import Sample, generate
from service.lifecycle.data.source import TrainingRecipe, load_source
from service.lifecycle.drift_detection.estimates import LEVEL, expected
from service.lifecycle.evaluation.labelled import LabelledLeads
from service.lifecycle.promotion.challenger import refit, trained, window
from service.lifecycle.promotion.gate import Rules
from service.lifecycle.training.registration import prepare
from service.model.engine import Engine
from tests.benchmarks.drift import SOURCE, Model, true_auc
from tests.benchmarks.loop.limits import Limit, covered, judged

CANDIDATE = "gradient_boosting"
LEADS, PROMOTIONS, QUICK, WINDOWS, WINDOW = (6_000, 20_000), 12, 2, 10, 2_000
SEEN = 0.5
"""Of the leads those that the champion has seen: the challenger is judged on the newest of the others."""
ERROR, COVERED = 0.03, (0.80, 0.97)


class Foretold(NamedTuple):
    """An estimate of ROC-AUC and of precision, what the outcomes showed of each, and the true ROC-AUC."""

    auc: Estimate
    precision: Estimate
    shown_auc: float
    shown_precision: float
    true_auc: float


def promoted(leads: int, seed: int) -> Model:
    """A challenger of so many leads, as it is served."""
    recipe = TrainingRecipe(candidate=CANDIDATE)
    source = load_source(SOURCE).model_copy(update={"sample": Sample(rows=leads, seed=seed), "recipe": recipe})
    every = LabelledLeads.whole(load(source))
    rows = window(every.leads.target, np.arange(round(SEEN * leads), leads), Rules())
    if rows is None:
        raise AssertionError(f"{leads} leads are too few for a window")
    chosen = refit(every, trained(every.leads, rows, source), source)
    made = prepare(source, every.leads, chosen, every.seen(), "none", datetime.now(UTC))
    schema, threshold = made.manifest.lead_schema, made.manifest.threshold
    return Model(source, schema, Engine(made.onnx, made.manifest.encoding, schema), made.reference, threshold)


def foretold(model: Model, seed: int) -> Foretold:
    """A window of fresh leads."""
    generated = generate(Sample(rows=WINDOW, seed=seed))
    scores = model.score(model.prepared(generated))
    found = expected(model.reference, scores, model.threshold, model.source.economics)
    outcome = generated.frame["converted"].to_numpy()
    return Foretold(
        found["roc_auc"],
        found["precision"],
        float(roc_auc_score(outcome, scores)),
        float(outcome[scores >= model.threshold].mean()),
        true_auc(scores, generated.score),
    )


def measure(quick: bool) -> Iterator[Limit]:
    """Error and coverage for each number of leads."""
    for leads in LEADS:
        found = [
            foretold(model, 1_000_000 + 1_000 * seed + number)
            for seed in range(1, (QUICK if quick else PROMOTIONS) + 1)
            for model in [promoted(leads, seed)]
            for number in range(WINDOWS)
        ]
        errors = [abs(each.auc.value - each.true_auc) for each in found]
        auc = [each.auc.low <= each.shown_auc <= each.auc.high for each in found]
        precision = [each.precision.low <= each.shown_precision <= each.precision.high for each in found]
        of = f"{leads:,} leads, {len(found)} windows"
        yield Limit(f"{of}: mean absolute error of ROC-AUC", float(np.mean(errors)), 0, ERROR)
        yield covered(f"{of}: {LEVEL:.0%} interval holds ROC-AUC", auc, *COVERED, quick)
        yield covered(f"{of}: {LEVEL:.0%} interval holds precision", precision, *COVERED, quick)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    return judged("label_free", "Measure the estimates without outcomes after a promotion.", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
