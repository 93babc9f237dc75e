"""Train on a lead source, record the run, publish the model, serve it: what people type as `scripts/train`."""

import argparse
import signal
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

if __name__ == "__main__":  # until main() handles it: Ctrl-C during the imports below would print a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from rich.console import Console
from rich.markup import escape

from service import tracking
from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.source import Source, SourceError, load_source
from service.lifecycle.evaluation.formatting import number, spoken
from service.lifecycle.evaluation.labelled import judgeable, sample
from service.lifecycle.evaluation.terminal import terminal_table
from service.lifecycle.promotion.reconcile import repair
from service.lifecycle.runtime.runner import (
    add_places,
    add_rows,
    end_on_signals,
    failed,
    sampled_to,
    shown_progress,
)
from service.lifecycle.training import onnx_export, registration, search, selection, skill
from service.lifecycle.training.leaks import find_leaks
from service.lifecycle.training.model_card import choice_rows, figure_rows, sampled, skill_lines
from service.lifecycle.training.selection import Progress, Selection, TooFewOutcomes
from service.model import bundle
from service.model.bundle import BundleRefused, LeakReport, Manifest, Pointer, Skill
from service.model.schema import LeadSchema
from service.storage import Storage, StorageError, open_storage

EXAMPLES = """examples:
  scripts/train --source service/examples/sample.toml --models models \\
      --tracking http://127.0.0.1:5000
  scripts/train --source crm.toml --figures     only show how good the candidates are
  scripts/train --source crm.toml --models models --tracking http://127.0.0.1:5000 \\
      --publish-anyway 'a demonstration'                            serve it though no skill is shown

exit status: 0 done, 1 the training failed or was refused, 2 wrong use or an unusable lead source
"""


@dataclass(frozen=True)
class Trained:
    """What a training left behind: the served version, its manifest, and how it was chosen."""

    manifest: Manifest
    leads: Leads
    selection: Selection
    registered: str
    skill: Skill
    leaks: LeakReport


def train(
    source: Source,
    models: Storage,
    tracking_uri: str,
    tell: Progress = lambda _: None,
    reason_to_publish: str | None = None,
) -> Trained:
    """Train, record, publish, serve. A model without skill is published for a reason only, which the bundle keeps.

    In this order, so that wherever it stops, what is served is a verified and recorded model: MLflow run and registered
    version, the immutable bundle, the pointer, and last audit record and alias. Raises SourceError, TooFewOutcomes,
    NoSkill, ParityError, TrackingError, BundleRefused and StorageError (Conflict: another training moved the pointer).
    """
    bundle.check_agreed(source.agreement, models)
    pointed = bundle.read_pointer(models)
    with tracking.tracked_run(tracking_uri, source.name, {"source": source.name}) as run:
        tell(f"reading the leads of {source.name}")
        own = load(source, served_schema(source, models, pointed[0]) if pointed else None)
        every = sample(own, source.recipe.rows)
        leads = every.leads
        leaks = find_leaks(judgeable(leads), source.leaks, tell)
        chosen = _choose(source, leads, tell)
        judged = skill.publishable(skill.judge(leads.target[leads.whole], chosen, source.economics), reason_to_publish)
        tell("comparing the exported model with scikit-learn")
        ready = registration.prepare(
            source,
            leads,
            chosen,
            every.seen(),
            run.id,
            datetime.now(UTC),
            skill=judged,
            leaks=leaks,
        )
        tell(f"recording the run at {tracking_uri}")
        registered = registration.record(ready, source, leads, chosen, run)
    manifest = ready.manifest
    tell(f"publishing {manifest.version} to {models.url}")
    held_out = number(source.metric, manifest.benchmark[source.metric])
    pointer = Pointer(
        version=manifest.version,
        sums_sha256=registration.publish(models, ready),
        moved_at=datetime.now(UTC),
        moved_by="service.lifecycle.train",
        reason=f"trained on {source.name}; held-out {spoken(source.metric)} {held_out}",
        before=pointed[0].version if pointed else None,
    )
    bundle.move_pointer(models, pointer, pointed[1] if pointed else None)
    repair(models, tracking_uri)
    return Trained(manifest, leads, chosen, registered, judged, leaks)


def _choose(source: Source, leads: Leads, tell: Progress) -> Selection:
    found = search.search_before(leads, source.recipe, tell=tell)
    return selection.select(leads, source.metric, source.economics, source.recipe, tell=tell, settings=found)


def served_schema(source: Source, models: Storage, pointer: Pointer) -> LeadSchema:
    """The schema of the served bundle, which is binding. Raises SourceError where it is of another source's leads."""
    served = bundle.load(models, pointer).manifest
    if served.provenance.source != source.name:
        raise SourceError(
            f"{models.url} serves leads of the source {served.provenance.source!r}, whose callers a model of "
            f"{source.name!r} would refuse; give this source a place of its own with --models"
        )
    return served.lead_schema


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/train",
        description="Train on a lead source, record the run in MLflow, publish the model bundle, and serve it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--source", type=Path, required=True, metavar="FILE.toml", help="the lead source")
    add_places(parser, "models", "tracking")
    parser.add_argument(
        "--figures", action="store_true", help="show the candidates' figures; record and publish nothing"
    )
    parser.add_argument(
        "--publish-anyway", metavar="REASON", help="publish a model that shows no skill; the reason is kept with it"
    )
    add_rows(parser)
    options = parser.parse_args(arguments)
    end_on_signals()
    if not options.figures and not (options.models and options.tracking):
        parser.error("give --models and --tracking, or --figures")
    console, out = Console(stderr=True), Console()
    try:
        source = sampled_to(load_source(options.source), options.rows)
        with shown_progress(console) as tell:
            if options.figures:
                tell(f"reading the leads of {source.name}")
                leads = sample(load(source), source.recipe.rows).leads
                leaks = find_leaks(judgeable(leads), source.leaks, tell)
                chosen = _choose(source, leads, tell)
                judged = skill.judge(leads.target[leads.whole], chosen, source.economics)
            else:
                models = open_storage(options.models)
                trained = train(source, models, options.tracking, tell, options.publish_anyway)
                leads, chosen, judged, leaks = trained.leads, trained.selection, trained.skill, trained.leaks
    except (SourceError, ValueError) as error:
        return failed(console, error, 2)
    except (
        TooFewOutcomes,
        skill.NoSkill,
        onnx_export.ParityError,
        tracking.TrackingError,
        BundleRefused,
        StorageError,
    ) as error:
        return failed(console, error, 1)
    _show(out, source, leads, chosen)
    if not options.figures:
        out.print(f"serving {trained.manifest.version} from {options.models}", highlight=False)
    agreed = source.agreement and source.agreement.first_look
    for line in filter(None, [*leaks.lines, *skill_lines(judged), agreed]):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0


def _show(out: Console, source: Source, leads: Leads, chosen: Selection) -> None:
    kinds = [[f.name, f.kind] for f in leads.schema.features]
    _table(out, f"Leads of {source.name}: {leads.sampled_from:,}", ["feature", "kind"], kinds)
    if leads.drawn:
        out.print(f"  {sampled(leads.drawn.stated)}", markup=False, highlight=False)
    for note in leads.notes:
        out.print(f"  {note}", markup=False, highlight=False)
    over = f"the newest {leads.whole.sum():,}" if leads.drawn else "all"
    title = f"Held out: {chosen.split.how}. 5-fold: cross-validated over {over}, time ignored"
    _table(out, title, *figure_rows(chosen))
    title = f"Chosen by {source.metric}: {spoken(chosen.candidate)}; per 1,000 held-out leads"
    _table(out, title, *choice_rows(chosen))


def _table(out: Console, title: str, header: list[str], rows: list[list[str]]) -> None:
    out.print(f"\n{title}", markup=False, highlight=False)
    out.print(terminal_table(header, [[escape(cell) for cell in row] for row in rows], padding=1))


if __name__ == "__main__":
    sys.exit(main())
