"""Train on a lead source, record the run, publish the model, serve it: `python -m service.lifecycle.train`."""

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from service import tracking
from service.lifecycle import export, reference, selection
from service.lifecycle.card import choice_rows, figure_rows, model_card, spoken
from service.lifecycle.figures import bands
from service.lifecycle.job import shown_progress
from service.lifecycle.leads import Leads, load
from service.lifecycle.plots import plots
from service.lifecycle.selection import Progress, Selection, TooFewOutcomes
from service.lifecycle.source import Source, SourceError, load_source
from service.model import bundle
from service.model.bundle import BundleRefused, Manifest, Pointer, Provenance
from service.model.schema import LeadSchema
from service.storage import Storage, StorageError, open_storage

EXAMPLES = """examples:
  python -m service.lifecycle.train --source service/examples/sample.toml --models models \\
      --tracking http://127.0.0.1:5000
  python -m service.lifecycle.train --source crm.toml --figures     only show how good the candidates are

exit status: 0 done, 1 the training failed or was refused, 2 wrong use or an unusable lead source
"""


@dataclass(frozen=True)
class Trained:
    """What a training left behind: the served version, its manifest, and how it was chosen."""

    manifest: Manifest
    leads: Leads
    selection: Selection
    registered: str


def train(source: Source, models: Storage, tracking_uri: str, tell: Progress = lambda _: None) -> Trained:
    """Train, record, publish, serve.

    In this order, so that wherever it stops, what is served is a verified and recorded model: MLflow run and registered
    version, the immutable bundle, the pointer, and last the alias. Raises SourceError, TooFewOutcomes, ParityError,
    TrackingError, BundleRefused and StorageError (Conflict: another training moved the pointer meanwhile).
    """
    pointed = bundle.read_pointer(models)
    with tracking.tracked_run(tracking_uri, source.name, {"source": source.name}) as run:
        tell(f"reading the leads of {source.name}")
        leads = load(source, served_schema(source, models, pointed[0]) if pointed else None)
        chosen = selection.select(leads, source.metric, source.economics, source.recipe, tell=tell)
        tell("comparing ONNX Runtime with scikit-learn")
        unseen = leads.frame.iloc[chosen.split.held_out]
        exported = export.to_onnx(chosen.pipeline)
        export.check_parity(chosen.pipeline, exported, leads.schema, unseen)
        golden = export.golden(chosen.pipeline, leads.schema, unseen)
        manifest = _manifest(source, leads, chosen, exported, run.id)
        card = model_card(source, leads, chosen, manifest)
        seen = reference.describe(leads.schema, leads.frame, unseen, chosen.scores, chosen.target, chosen.threshold)
        tell(f"recording the run at {tracking_uri}")
        run.log(_parameters(source, chosen, manifest), _metrics(chosen))
        run.attach({bundle.CARD: card}, plots(chosen.target, chosen.scores, chosen.threshold, source.economics))
        registered = run.register(source.name, chosen.pipeline, leads.frame)
    tell(f"publishing {manifest.version} to {models.url}")
    sums = bundle.publish(models, manifest, exported.onnx, golden, card, seen)
    reason = f"trained on {source.name}; held-out {source.metric} {manifest.benchmark[source.metric]:.4f}"
    pointer = Pointer(
        version=manifest.version,
        sums_sha256=sums,
        moved_at=datetime.now(UTC),
        moved_by="service.lifecycle.train",
        reason=reason,
    )
    bundle.move_pointer(models, pointer, pointed[1] if pointed else None)
    tracking.crown(tracking_uri, source.name, registered)
    return Trained(manifest, leads, chosen, registered)


def served_schema(source: Source, models: Storage, pointer: Pointer) -> LeadSchema:
    """The schema of the served bundle, which is binding. Raises SourceError where it is of another source's leads."""
    served = bundle.load(models, pointer).manifest
    if served.provenance.source != source.name:
        raise SourceError(
            f"{models.url} serves leads of the source {served.provenance.source!r}, whose callers a model of "
            f"{source.name!r} would refuse; give this source a place of its own with --models"
        )
    return served.lead_schema


def _manifest(source: Source, leads: Leads, chosen: Selection, exported: export.Exported, run_id: str) -> Manifest:
    now = datetime.now(UTC)
    return Manifest(
        version=bundle.new_version(exported.onnx, now),
        lead_schema=leads.schema,
        encoding=exported.encoding,
        threshold=chosen.threshold,
        bands=bands(chosen.scores),
        metric=source.metric,
        benchmark=chosen.held_out[chosen.candidate],
        economics=source.economics,
        provenance=Provenance(
            source=source.name,
            data_sha256=leads.sha256,
            rows=len(leads.target),
            trained_at=now,
            candidate=chosen.candidate,
            git_commit=_git_commit(),
            mlflow_run_id=run_id,
        ),
    )


def _parameters(source: Source, chosen: Selection, manifest: Manifest) -> dict[str, object]:
    stated = source.model_dump(
        mode="json", include={"metric", "metric_reason", "agreed_by", "agreed_on", "target_column"}
    )
    model = chosen.pipeline.named_steps["model"].get_params()
    return {
        **stated,
        **source.economics.model_dump(),
        **{f"recipe.{name}": value for name, value in source.recipe},
        **{f"model.{name}": value for name, value in model.items() if not hasattr(value, "get_params")},
        "candidate": chosen.candidate,
        "split": chosen.split.how,
        "threshold": chosen.threshold,
        "features": ", ".join(f"{f.name}: {f.kind}" for f in manifest.lead_schema.features),
        "bundle_version": manifest.version,
        "rows": manifest.provenance.rows,
        "data_sha256": manifest.provenance.data_sha256,
        "git_commit": manifest.provenance.git_commit,
    }


def _metrics(chosen: Selection) -> dict[str, float]:
    """The served model's figures under plain names, all candidates' under their own."""
    every = {"held_out": chosen.held_out, "cross_validated": chosen.cross_validated}
    metrics = {
        f"{name}.{how}.{figure}": value
        for how, candidates in every.items()
        for name, figures in candidates.items()
        for figure, value in figures.items()
    }
    return metrics | chosen.held_out[chosen.candidate]


def _git_commit() -> str | None:
    """The commit that this code was checked out at; None in an image, or where git is not installed."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return answer.stdout.strip() or None


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m service.lifecycle.train",
        description="Train on a lead source, record the run in MLflow, publish the model bundle, and serve it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--source", type=Path, required=True, metavar="FILE.toml", help="the lead source")
    parser.add_argument(
        "--models",
        metavar="URL",
        default=os.environ.get("LEADSCORING_MODELS_URL"),
        help="folder or gs://bucket/prefix of the model bundles (default: $LEADSCORING_MODELS_URL)",
    )
    parser.add_argument(
        "--tracking",
        metavar="URI",
        default=os.environ.get("MLFLOW_TRACKING_URI"),
        help="the MLflow server (default: $MLFLOW_TRACKING_URI)",
    )
    parser.add_argument(
        "--figures", action="store_true", help="show the candidates' figures; record and publish nothing"
    )
    given = parser.parse_args(arguments)
    if not given.figures and not (given.models and given.tracking):
        parser.error("give --models and --tracking, or --figures")
    console, out = Console(stderr=True), Console()
    try:
        source = load_source(given.source)
        with shown_progress(console) as tell:
            if given.figures:
                tell(f"reading the leads of {source.name}")
                leads = load(source)
                chosen = selection.select(leads, source.metric, source.economics, source.recipe, tell=tell)
            else:
                trained = train(source, open_storage(given.models), given.tracking, tell)
                leads, chosen = trained.leads, trained.selection
    except (SourceError, ValueError) as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 2
    except (TooFewOutcomes, export.ParityError, tracking.TrackingError, BundleRefused, StorageError) as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    _show(out, source, leads, chosen)
    if not given.figures:
        out.print(f"serving {trained.manifest.version} from {given.models}", highlight=False)
    return 0


def _show(out: Console, source: Source, leads: Leads, chosen: Selection) -> None:
    kinds = [[f.name, f.kind] for f in leads.schema.features]
    _table(out, f"Leads of {source.name}: {len(leads.target):,}", ["feature", "kind"], kinds)
    for note in leads.notes:
        out.print(f"  {note}", markup=False, highlight=False)
    title = f"Held out: {chosen.split.how}. 5-fold: cross-validated over all, time ignored"
    _table(out, title, *figure_rows(chosen))
    title = f"Chosen by {source.metric}: {spoken(chosen.candidate)}; per 1,000 held-out leads"
    _table(out, title, *choice_rows(chosen))


def _table(out: Console, title: str, header: list[str], rows: list[list[str]]) -> None:
    table = Table(*header)
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    out.print(f"\n{title}", markup=False, highlight=False)
    out.print(table)


if __name__ == "__main__":
    sys.exit(main())
