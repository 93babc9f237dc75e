"""How the served models did on leads whose outcome is final: `python -m service.lifecycle.evaluate`."""

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.console import Console
from rich.table import Table

from service import history, tracking
from service.history import Evaluation, ExplorationCost, FoundChanges, OutcomeSelection, VersionOutcome, Weighting
from service.lifecycle.evaluation import regressions, weighting
from service.lifecycle.evaluation.formatting import number, spoken
from service.lifecycle.evaluation.quality import NAMES
from service.lifecycle.evaluation.reading.window import EvaluatedWindow, read_window
from service.lifecycle.evaluation.report import report
from service.lifecycle.evaluation.version_quality import VersionCells, VersionQuality, judge_version
from service.lifecycle.promotion.reconcile import repair
from service.lifecycle.relations import engines
from service.lifecycle.reporting.earned import contacts
from service.lifecycle.reporting.groups import group_outcomes
from service.lifecycle.runtime.agreed import agreed_gauges
from service.lifecycle.runtime.gauges import Gauge
from service.lifecycle.runtime.runner import JobFailed, Loop, days, parser, run
from service.model import bundle
from service.model.bundle import Manifest, Pointer
from service.rhythm import LOOP

EXAMPLES = """  python -m service.lifecycle.evaluate --source crm.toml --models models --predictions predictions \\
      --leads leads --tracking http://127.0.0.1:5000
  ... --counter http://127.0.0.1:8080/metrics     first compare the records with one service's own counter
  ... --days 7 --now 2026-03-01                   another window, another day
"""
COMPARED = 500
"""Leads with a final outcome from which figures are compared with others: a comparison of fewer finds little, and would
stand until all leads of a window are others."""
REMEMBERED = 60
"""Earlier evaluations that are read."""


def evaluate(loop: Loop, options: argparse.Namespace) -> list[Gauge]:
    """Judge every version served in the window; keep the champion's figures as history, run and gauges.

    In this order: quarantine, MLflow run with the report, and last the history's entry, so that what the service shows
    is always backed by a report. An evaluation of this very time that is there already is not made again.
    """
    if history.at(loop.models, Evaluation, loop.now):
        loop.note(f"evaluated already at {loop.now:%Y-%m-%d %H:%M:%S} UTC; nothing to do")
        return []
    until = loop.now - timedelta(days=loop.source.maturity_days)
    since = until - timedelta(days=options.days)
    pointed = bundle.read_pointer(loop.models)
    if pointed is None:
        raise JobFailed(f"{loop.models.url} serves no model; train one first")
    pointer = pointed[0]
    loop.tell(f"reading the leads scored from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC")
    found = read_window(loop, EvaluatedWindow(options.engine, since, until, options.counter), pointer.version)
    labels, compared = found.labels, found.compared
    every = _by_version(loop, found.versions)
    headline, notes = _headline(every, pointer)
    others = [each for each in every if each is not headline]
    earlier = [e for e in history.latest(loop.models, Evaluation, REMEMBERED) if e.time < loop.now]
    window, figures = (since, until), headline.whole.figures
    compared_last = _comparison(loop, headline, window, earlier, pointer.moved_at) if figures else None
    with tracking.tracked_run(loop.tracking, loop.source.name, _tags(loop, headline)) as mlflow:
        entry = Evaluation(
            time=loop.now,
            since=since,
            until=until,
            model_version=headline.manifest.version,
            leads=headline.whole.leads,
            without_outcome=labels["without_outcome"],
            complete=None if compared is None else compared.complete,
            missing_records=compared.missing if compared else 0.0,
            figures=headline.whole.figures,
            benchmark=headline.manifest.benchmark,
            bands=headline.band_outcomes(),
            business=headline.business,
            changes=(*notes, *_said(compared_last, until)),
            mlflow_run_id=mlflow.id,
            versions=tuple(_outcome(each) for each in (headline, *others)),
            taken_as_lost=labels["lost"],
            comparison=compared_last,
            selection=weighting.about(
                found.selection, headline.weighting, options.days, headline.explored_days, found.doubt
            ),
            weighting=headline.weighting,
            exploration=headline.exploration,
            contacts=contacts(found.choices, found.rules, headline.manifest.economics, found.selection, found.doubt),
            set_aside=dict(found.set_aside),
            groups=group_outcomes(loop.source.groups, found.groups, headline.weighting) if found.groups else (),
            contacted_only_since=_contacted_only_since(found.selection, headline.weighting, earlier, loop.now),
        )
        loop.tell(f"recording the run at {loop.tracking}")
        mlflow.log(_parameters(entry, options), _metrics(entry, headline))
        mlflow.attach({"report.html": report(headline, entry, earlier, others)}, {})
    history.append(loop.models, entry)
    _show(entry)
    return [*_gauges(loop, entry, headline), *_of_champion(every, pointer)]


def _by_version(loop: Loop, found: Sequence[tuple[Manifest, VersionCells]]) -> list[VersionQuality]:
    """All versions, in the given order."""
    every = []
    for manifest, cells in found:
        loop.tell(f"judging {manifest.version}")
        every.append(judge_version(manifest, cells))
    return every


def _headline(every: Sequence[VersionQuality], pointer: Pointer) -> tuple[VersionQuality, list[str]]:
    """The champion; where it is too young to be judged, the newest version that is not. Raises JobFailed."""
    champion = next(each for each in every if each.manifest.version == pointer.version)
    if champion.too_few is None:
        return champion, []
    for each in every:
        if each.too_few is None:
            return each, [
                f"{pointer.version} is in service since {pointer.moved_at:%Y-%m-%d %H:%M} UTC and has "
                f"{champion.whole.leads} leads with a final outcome: this is about {each.manifest.version}"
            ]
    reasons = "; ".join(each.too_few for each in every if each.too_few)
    raise JobFailed(f"nothing to evaluate: {reasons}. Wait for outcomes, or look further back with --days")


def _comparison(
    loop: Loop,
    headline: VersionQuality,
    window: tuple[datetime, datetime],
    earlier: Sequence[Evaluation],
    served_since: datetime,
) -> FoundChanges | None:
    """Compare with training and with the last evaluation of other leads; or the comparison that had leads of these.

    Leads are compared once: the same ones would be taken for new evidence every day. None where there are too few yet
    of a version that is served since the window began.
    """
    manifest, figures, leads = headline.manifest, headline.whole.figures, headline.whole.leads
    last = next((e.comparison for e in reversed(earlier) if e.comparison and e.model_version == manifest.version), None)
    if last and window[0] < last.until:
        return last
    if leads < COMPARED and window[0] < served_since:  # more are coming
        return None
    held_out = 1 if manifest.judged_on else bundle.read_reference(loop.models, manifest.version).leads
    others = [regressions.at_training(manifest.benchmark, manifest.judged_on, figures, leads, held_out)]
    if apart := [e for e in earlier if e.until <= window[0] and e.figures]:
        when = f"with {apart[-1].model_version} until {apart[-1].until:%Y-%m-%d}"
        others.append(regressions.at_evaluation(apart[-1].figures, when))
    look = last.look + 1 if last else 1
    found = tuple(regressions.changes(figures, others, look))
    return FoundChanges(look=look, since=window[0], until=window[1], changes=found)


def _contacted_only_since(
    selection: OutcomeSelection, found: Weighting | None, earlier: Sequence[Evaluation], now: datetime
) -> datetime | None:
    """Since when figures hold for contacted leads alone, this evaluation's too; None where these hold for all."""
    holds_for_all = found.enough if found else not selection.depends_on_decision
    if holds_for_all:
        return None
    return earlier[-1].contacted_only_since or now if earlier else now


def _said(compared: FoundChanges | None, until: datetime) -> list[str]:
    """The changes, with the leads that they were found on where those are not the evaluation's own."""
    if compared is None:
        return []
    found_on = "" if compared.until == until else f" (leads scored until {compared.until:%Y-%m-%d})"
    return [f"{change}{found_on}" for change in compared.changes]


def _outcome(judged: VersionQuality) -> VersionOutcome:
    whole = judged.whole
    return VersionOutcome(
        version=judged.manifest.version, leads=whole.leads, converted=whole.converted, figures=whole.figures
    )


def _tags(loop: Loop, headline: VersionQuality) -> dict[str, str]:
    return {
        "source": loop.source.name,
        "job": "evaluate",
        "evaluated": loop.now.isoformat(),
        "bundle_version": headline.manifest.version,
    }


def _parameters(entry: Evaluation, options: argparse.Namespace) -> dict[str, object]:
    shown = ("since", "until", "model_version", "complete", "changes")
    return {name: getattr(entry, name) for name in shown} | {"days": options.days}


def _metrics(entry: Evaluation, headline: VersionQuality) -> dict[str, float]:
    metrics = {name: estimate.value for name, estimate in entry.figures.items()}
    metrics |= {f"{n}.{end}": getattr(e, end) for n, e in entry.figures.items() for end in ("low", "high")}
    metrics |= {f"business.{name}": value for name, value in entry.business.items()}
    metrics |= {f"latency_ms.p{p}": ms for p, ms in headline.latency_ms.items()}
    metrics |= {f"{v.version}.{n}": e.value for v in entry.versions for n, e in v.figures.items()}
    return metrics | {
        "leads": entry.leads,
        "without_outcome": entry.without_outcome,
        "missing_records": entry.missing_records,
        "mean_score": headline.whole.mean_score,
        "near_threshold": headline.near_threshold,
    }


def _gauges(loop: Loop, entry: Evaluation, headline: VersionQuality) -> list[Gauge]:
    def named(end: str, values: dict[str, float]) -> list[Gauge]:
        return [Gauge(f"leadscoring_evaluation_{end}", value, {"figure": name}) for name, value in values.items()]

    figures = entry.figures.items()
    business = {name: entry.business[name] for name in ("contacts", "revenue", "cost")}
    return [
        *named("figure", {name: e.value for name, e in figures}),
        *named("figure_low", {name: e.low for name, e in figures}),
        *named("figure_high", {name: e.high for name, e in figures}),
        *named("benchmark", {name: entry.benchmark[name] for name in NAMES if name in entry.benchmark}),
        *agreed_gauges(loop.source, entry.figures, entry.benchmark, headline.manifest.judged_on),
        *_rarer(headline),
        Gauge("leadscoring_evaluation_leads", entry.leads),
        *([] if entry.complete is None else [_missing(entry)]),
        *(_selection(entry.selection) if entry.selection else []),
        Gauge("leadscoring_evaluation_contacted_only_seconds", _contacted_only(entry)),
        *([Gauge("leadscoring_evaluation_effective_leads", entry.weighting.effective)] if entry.weighting else []),
        *(_exploration(entry.exploration) if entry.exploration else []),
        Gauge("leadscoring_evaluation_mean_score", headline.whole.mean_score),
        Gauge("leadscoring_evaluation_near_threshold_ratio", headline.near_threshold),
        *(
            Gauge("leadscoring_conversion_ratio", band.converted_share, {"band": band.name})
            for band in headline.bands
            if band.leads and band.converted_share is not None
        ),
        *(Gauge(f"leadscoring_business_{name}", value) for name, value in business.items()),
        Gauge("leadscoring_business_roi_ratio", entry.business["roi"]),
    ]


def _of_champion(every: Sequence[VersionQuality], pointer: Pointer) -> list[Gauge]:
    trained = next(each.manifest.provenance.trained_at for each in every if each.manifest.version == pointer.version)
    times = {"trained": trained, "promoted": pointer.moved_at}
    return [Gauge(f"leadscoring_champion_{what}_timestamp_seconds", at.timestamp()) for what, at in times.items()]


def _rarer(headline: VersionQuality) -> list[Gauge]:
    """The share of the rarer outcome at training; today's where the benchmark's leads do not stand for all, or nobody
    counted them."""
    judged, rate = headline.manifest.judged_on, headline.whole.converted_share
    if judged and headline.weighting is None:
        rate = judged.converted / judged.leads
    return [] if rate is None else [Gauge("leadscoring_evaluation_benchmark_rarer_ratio", min(rate, 1 - rate))]


def _selection(selection: OutcomeSelection) -> list[Gauge]:
    depends = {"decision": selection.depends_on_decision, "score": selection.depends_on_score}
    return [
        *(Gauge("leadscoring_evaluation_outcomes_selected", float(on), {"by": by}) for by, on in depends.items()),
        *(
            Gauge("leadscoring_evaluation_with_outcome_ratio", share, {"decision": decision})
            for decision, share in selection.with_outcome_by_decision.items()
        ),
        Gauge("leadscoring_evaluation_explored_leads", selection.explored),
    ]


def _exploration(found: ExplorationCost) -> list[Gauge]:
    values = {"contacts": found.contacts, "revenue": found.revenue.value, "cost": found.cost}
    return [Gauge(f"leadscoring_exploration_{name}", value) for name, value in values.items()]


def _contacted_only(entry: Evaluation) -> float:
    since = entry.contacted_only_since
    return (entry.time - since).total_seconds() if since else 0.0


def _missing(entry: Evaluation) -> Gauge:
    return Gauge("leadscoring_evaluation_records_missing_ratio", entry.missing_records)


def _show(entry: Evaluation) -> None:
    table = Table("figure", "value", "95 % interval", "at training")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, e in entry.figures.items():
        then = entry.benchmark.get(name)
        interval = f"{number(name, e.low)} to {number(name, e.high)}"
        table.add_row(spoken(name), number(name, e.value), interval, "" if then is None else number(name, then))
    out = Console(highlight=False)
    if entry.selection:
        out.print(entry.selection.about, markup=False, soft_wrap=True)
    out.print(f"{entry.model_version} on {entry.leads:,} leads, {entry.since:%Y-%m-%d} to {entry.until:%Y-%m-%d}")
    if entry.figures:
        out.print(table)
    if entry.weighting:
        out.print(weighting.basis(entry.weighting), markup=False, soft_wrap=True)
    worth = entry.business
    others = (
        f" (as many at random {worth['random_profit']:,.0f}, everyone {worth['all_profit']:,.0f})"
        if "random_profit" in worth
        else f": {worth['conversions']:,.0f} converted"
    )
    out.print(f"{worth['contacts']:,.0f} contacts brought {worth['profit']:,.0f}{others}")
    if found := entry.exploration:
        out.print(
            f"exploring: {found.contacts:,} contacts at random cost {found.cost:,.0f} and brought "
            f"{found.revenue.value:,.0f}; the next best leads would have earned {found.lost.value:,.0f} more "
            f"({found.lost.low:,.0f} to {found.lost.high:,.0f})",
            soft_wrap=True,
        )
    for change in entry.changes or (("nothing changed beyond noise",) if entry.figures else ()):
        out.print(f"  {change}", markup=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    options = parser(
        "evaluate",
        "Judge the served models on leads whose outcome is final: figures with intervals, what the contacts earned, "
        "what changed beyond noise; a report in MLflow, an entry in the history, gauges.",
        EXAMPLES,
    )
    options.add_argument(
        "--days",
        type=days(3650),
        default=LOOP.evaluated_days,
        help="days of scored leads, up to those whose outcome is final (default: %(default)g)",
    )
    options.add_argument(
        "--counter",
        metavar="URL",
        help="the service's own count of records: its /metrics page, or the base of a Prometheus query API",
    )
    engines.add_engine(options)
    return run("evaluate", options, evaluate, repair, arguments)


if __name__ == "__main__":
    sys.exit(main())
