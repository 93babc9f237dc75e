"""Whether the leads scored lately are like those trained on, and what to expect of them: no outcome is needed.

`python -m service.lifecycle.drift`.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta

import msgspec
import numpy as np
from rich.console import Console

from service import history, tracking
from service.history import DriftCheck
from service.lifecycle.data.quarantine import set_aside
from service.lifecycle.drift_detection.contact_line import refresh_rule
from service.lifecycle.drift_detection.estimates import expected
from service.lifecycle.drift_detection.homogeneity import Comparison, compare, excess
from service.lifecycle.drift_detection.report import (
    BLIND,
    COLUMNS,
    EXPECTATIONS,
    column_rows,
    expectation_rows,
    report,
    summary,
    title,
)
from service.lifecycle.drift_detection.window import BACK, LeadWindow, recent
from service.lifecycle.evaluation.quality import Scores
from service.lifecycle.evaluation.terminal import terminal_table
from service.lifecycle.promotion.challenger import score
from service.lifecycle.promotion.reconcile import repair
from service.lifecycle.relations import engines
from service.lifecycle.runtime.gauges import Gauge
from service.lifecycle.runtime.runner import JobFailed, Loop, days, parser, run
from service.model import bundle
from service.model.bundle import Bundle
from service.rhythm import LOOP

EXAMPLES = """  python -m service.lifecycle.drift --source crm.toml --models models --predictions predictions \\
      --leads leads --tracking http://127.0.0.1:5000
  ... --days 1 --leads-at-least 200     the last day's leads; where they are fewer, further back
  ... --now 2026-03-01                  as of another day
"""
FEWEST = 100
"""Leads below which a comparison says nothing."""

SHOWN = 15
"""Features in the terminal's table, those first whose difference moves scores the most."""


def drift(loop: Loop, options: argparse.Namespace) -> list[Gauge]:
    """Compare the most recent scored leads with the served model's reference; keep history, run with report, gauges.

    All of them are counted by their values. At most `window.SAMPLED`, drawn at random, are scored again by the served
    model, whichever scored them then: what is compared is the leads. The history's entry comes after the report, so
    that it always has one, and the contact rule last. A check of this very time is not made again.
    """
    if history.at(loop.models, DriftCheck, loop.now):
        loop.note(f"checked already at {loop.now:%Y-%m-%d %H:%M:%S} UTC; nothing to do")
        return []
    pointed = bundle.read_pointer(loop.models)
    if pointed is None:
        raise JobFailed(f"{loop.models.url} serves no model; train one first: scripts/train")
    served = bundle.load(loop.models, pointed[0])
    span = timedelta(days=options.days)
    window = recent(loop, options.engine, served, span, options.leads_at_least)
    _say(loop, window, served)
    if window.leads < FEWEST:
        loop.note(
            f"{window.leads} leads were scored from {window.since:%Y-%m-%d %H:%M} to {loop.now:%Y-%m-%d %H:%M} UTC, "
            f"fewer than {FEWEST}: too few to compare; nothing was recorded"
        )
        refresh_rule(loop, served, score(served, window.sample) if window.leads else np.empty(0), window.since)
        return []
    loop.tell(f"comparing {window.leads:,} leads with the {served.reference.leads:,} held out at training")
    scores = score(served, window.sample)
    manifest, reference = served.manifest, served.reference
    compared = compare(
        reference, window.counts, window.sample, scores, manifest.threshold, lambda some: score(served, some)
    )
    tags = {"source": loop.source.name, "job": "drift", "bundle_version": served.version}
    with tracking.tracked_run(loop.tracking, loop.source.name, tags) as mlflow:
        entry = _check(loop, window, served, scores, compared, mlflow.id)
        loop.tell("drawing the report")
        page = report(entry, reference, window.counts, scores, manifest.threshold)
        loop.tell(f"recording the run at {loop.tracking}")
        mlflow.log({"since": window.since, "until": loop.now, "days": options.days}, _metrics(entry))
        mlflow.note({"drift": "found" if entry.found else "none"})
        texts = {
            "summary.md": summary(entry),
            "drift.json": msgspec.json.encode(entry).decode(),
            "report.html": page,
        }
        mlflow.attach(texts, {})
    history.append(loop.models, entry)
    refresh_rule(loop, served, scores, window.since)
    _show(entry)
    return _gauges(entry, reference.leads)


def _check(
    loop: Loop, window: LeadWindow, served: Bundle, scores: Scores, compared: Comparison, run: str
) -> DriftCheck:
    manifest = served.manifest
    return DriftCheck(
        time=loop.now,
        since=window.since,
        until=loop.now,
        model_version=manifest.version,
        leads=window.leads,
        scored_again=len(scores),
        found=compared.found,
        features=compared.features,
        scores=compared.scores,
        decisions=compared.decisions,
        expected=expected(served.reference, scores, manifest.threshold, manifest.economics),
        benchmark=manifest.benchmark,
        reasons=compared.reasons,
        mlflow_run_id=run,
    )


def _say(loop: Loop, window: LeadWindow, served: Bundle) -> None:
    """Which leads are not compared; what is broken is set aside."""
    if window.broken:
        keys = set_aside(loop.leads, "predictions", window.broken)
        loop.note(f"{len(window.broken):,} broken records were set aside, in {loop.leads.url}: {', '.join(keys)}")
    if window.left_out:
        versions = ", ".join(window.left_out)
        loop.note(f"leads scored by {versions} are left out: their fields are not those of {served.version}")


def _metrics(entry: DriftCheck) -> dict[str, float]:
    metrics = {f"expected.{name}": e.value for name, e in entry.expected.items()}
    metrics |= {f"expected.{n}.{end}": getattr(e, end) for n, e in entry.expected.items() for end in ("low", "high")}
    for f in (entry.scores, entry.decisions):
        metrics |= {f"{f.feature}.{what}": getattr(f, what) for what in ("distance", "p_value")}
    metrics["features_drifted"] = sum(f.drifted for f in entry.features)
    return metrics | {"leads": entry.leads, "found": float(entry.found)}


def _gauges(entry: DriftCheck, held_out: int) -> list[Gauge]:
    def above(now: float, then: float) -> float:
        return excess(now, then, entry.leads, held_out, 2 * len(entry.features))

    gauges = [
        Gauge("leadscoring_drift_found", float(entry.found)),
        Gauge("leadscoring_drift_features", float(sum(f.drifted for f in entry.features))),
        Gauge("leadscoring_drift_score_distance", entry.scores.distance),
        Gauge("leadscoring_drift_score_shifted", float(entry.scores.drifted)),
    ]
    for f in entry.features:
        missing, unseen = above(f.missing, f.missing_in_training), above(f.unseen, f.unseen_in_training)
        gauges += [
            Gauge("leadscoring_feature_missing_excess_ratio", missing, {"feature": f.feature}),
            Gauge("leadscoring_feature_unseen_excess_ratio", unseen, {"feature": f.feature}),
        ]
    for name, e in entry.expected.items():
        ends = {"": e.value, "_low": e.low, "_high": e.high}
        gauges += [Gauge(f"leadscoring_expected_figure{end}", v, {"figure": name}) for end, v in ends.items()]
    return gauges


def _show(entry: DriftCheck) -> None:
    out = Console(highlight=False)
    out.print(f"{entry.model_version}: {title(entry)}", soft_wrap=True)
    for reason in entry.reasons or ("nothing that matters differs from training beyond chance",):
        out.print(f"  {reason}", markup=False, soft_wrap=True)
    out.print(terminal_table(COLUMNS, column_rows(entry)[: SHOWN + 2], padding=1))
    out.print(terminal_table(EXPECTATIONS, expectation_rows(entry), padding=1))
    out.print(BLIND)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status. Drift that was found is a result, not a failure."""
    options = parser(
        "drift",
        "Compare the leads scored lately, their scores and the decisions with those the served model was judged on, "
        "and estimate its figures without outcomes; a report in MLflow, an entry in the history, gauges.",
        EXAMPLES,
    )
    options.add_argument(
        "--days",
        type=days(BACK.days),
        default=LOOP.drift_days,
        help="days of scored leads up to now (default: %(default)g)",
    )
    options.add_argument(
        "--leads-at-least",
        type=_leads,
        default=LOOP.drift_leads,
        metavar="N",
        help=f"look further back, {BACK.days} days at most, until there are so many (default: %(default)s)",
    )
    engines.add_engine(options)
    return run("drift", options, drift, repair, arguments)


def _leads(text: str) -> int:
    leads = int(text)
    if leads < FEWEST:
        raise argparse.ArgumentTypeError(f"{text}: at least {FEWEST}")
    return leads


if __name__ == "__main__":
    sys.exit(main())
