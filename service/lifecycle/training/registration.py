"""From a chosen model to a bundle: checked, recorded in MLflow, published. Nothing is served by this alone."""

import os
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from service.history import Estimate
from service.lifecycle.data.leads import Leads
from service.lifecycle.data.source import Source
from service.lifecycle.evaluation.cells import ScoreCells
from service.lifecycle.evaluation.confidence import estimates
from service.lifecycle.evaluation.labelled import Seen
from service.lifecycle.evaluation.plots import plots
from service.lifecycle.evaluation.quality import Scores, Target, bands, contacts_reached
from service.lifecycle.evaluation.regressions import standard_error
from service.lifecycle.training import onnx_export, reference_profile
from service.lifecycle.training.golden import golden
from service.lifecycle.training.model_card import model_card
from service.lifecycle.training.monotone import plain
from service.lifecycle.training.selection import Everyone, Selection
from service.model import bundle
from service.model.bundle import (
    Economics,
    Golden,
    JudgedOn,
    LeakReport,
    Manifest,
    Provenance,
    Skill,
    TrainingSample,
)
from service.model.contact_rule import ContactRule, rule_of
from service.model.reference import Reference
from service.storage import Storage
from service.tracking import Run

ERROR_DRAWS = 500
"""Resamples that a benchmark's standard errors come from: 500 know them to about 3 %."""


@dataclass(frozen=True)
class Release:
    """A model that passed parity, ready to be published."""

    manifest: Manifest
    onnx: bytes
    golden: list[Golden]
    card: str
    reference: Reference


def prepare(
    source: Source,
    leads: Leads,
    chosen: Selection,
    seen: Seen,
    run_id: str,
    now: datetime,
    champion: str | None = None,
    compared: dict[str, Estimate] | None = None,
    skill: Skill | None = None,
    leaks: LeakReport | None = None,
) -> Release:
    """Export the chosen model, compare both engines on the held-out leads, describe it. Raises ParityError.

    `champion` and `compared` are the version that it was compared with, and how; `skill` is a first model's. `leaks` is
    what was found among the columns that it learns from.
    """
    held_out = leads.frame.iloc[chosen.split.held_out]
    exported = onnx_export.to_onnx(chosen.pipeline)
    onnx_export.check_parity(chosen.pipeline, exported, leads.schema, held_out)
    onnx_export.check_monotone(exported, leads.schema, held_out, source.recipe.monotone)
    manifest = Manifest(
        # With the run: a training that is repeated after it was stopped halfway makes a bundle of its own.
        version=bundle.new_version(exported.onnx + run_id.encode(), now),
        lead_schema=leads.schema,
        id_column=source.id_column,
        encoding=exported.encoding,
        threshold=chosen.threshold,
        bands=bands(chosen.every_score),
        metric=source.metric,
        agreement=source.agreement,
        benchmark=chosen.held_out[chosen.candidate],
        judged_on=_judged_on(chosen, source.economics),
        economics=source.economics,
        provenance=Provenance(
            source=source.name,
            data_sha256=leads.sha256,
            rows=leads.sampled_from,
            sample=leads.drawn and leads.drawn.stated,
            trained_at=now,
            candidate=chosen.candidate,
            git_commit=_git_commit(),
            mlflow_run_id=run_id,
            seen_rows=seen.rows,
            seen_until=seen.until,
            champion=champion,
            compared={name: (e.value, e.low, e.high) for name, e in (compared or {}).items()},
        ),
        skill=skill,
        leaks=leaks,
        exploration=source.exploration.share,
        contact_rule=_contact_rule(source, chosen),
    )
    invented = golden(chosen.pipeline, leads.schema, held_out)
    card = model_card(source, leads, chosen, manifest)
    return Release(manifest, exported.onnx, invented, card, _reference(leads, chosen))


def _reference(leads: Leads, chosen: Selection) -> Reference:
    """Of leads like those to come; the calibration is of held-out leads, which have outcomes."""
    everyone = chosen.everyone or Everyone(leads.frame.iloc[chosen.split.held_out], chosen.scores)
    return reference_profile.describe(
        leads.schema,
        leads.frame,
        everyone.frame,
        everyone.scores,
        chosen.target[chosen.standing],
        chosen.threshold,
        chosen.scores[chosen.standing],
    )


def record(release: Release, source: Source, leads: Leads, chosen: Selection, run: Run) -> str:
    """Record it in MLflow; return its version in the registry. Raises MlflowException."""
    run.log(_parameters(source, chosen, release.manifest), _metrics(chosen))
    decided = chosen.scores >= chosen.threshold
    cells = ScoreCells.of(chosen.target, chosen.scores, decided, chosen.threshold, weights=chosen.weights)
    run.attach({bundle.CARD: release.card}, plots(cells, chosen.threshold, source.economics))
    return run.register(source.name, plain(chosen.pipeline), leads.frame)


def _contact_rule(source: Source, chosen: Selection) -> ContactRule:
    """By scores of leads not learned from: of a model that was refitted on the held-out leads too, those before."""
    capacity, share = source.economics.contacts_per_1000_leads, source.exploration.share
    return rule_of(chosen.every_score, chosen.threshold, capacity, share)


def _judged_on(chosen: Selection, money: Economics) -> JudgedOn:
    return judged_on(chosen.target, chosen.scores, chosen.threshold, money, chosen.optimism, chosen.weights)


def judged_on(
    target: Target,
    scores: Scores,
    threshold: float,
    economics: Economics,
    optimism: dict[str, float],
    weights: Scores | None = None,
) -> JudgedOn:
    """What a benchmark of these held-out leads rests on; `weights` say how many leads each stands for."""
    made = contacts_reached(scores, scores >= threshold, economics, weights)
    cells = ScoreCells.of(target, scores, made, threshold, weights=weights)
    found = estimates(cells, threshold, economics, ERROR_DRAWS)
    errors = {name: standard_error(figure) for name, figure in found.items()}
    return JudgedOn(leads=len(target), converted=int(target.sum()), errors=errors, optimism=optimism)


def publish(models: Storage, release: Release) -> str:
    """Write the bundle; return the digest of its sums. Raises what `bundle.publish` raises."""
    return bundle.publish(models, release.manifest, release.onnx, release.golden, release.card, release.reference)


def _parameters(source: Source, chosen: Selection, manifest: Manifest) -> dict[str, object]:
    stated = source.model_dump(
        mode="json", include={"metric", "metric_reason", "agreed_by", "agreed_on", "target_column"}
    )
    outcome = source.model_dump(mode="json", include={"positive", "negative", "absent_after_days"})
    model = chosen.pipeline.named_steps["model"].get_params()
    return {
        **stated,
        **outcome,
        **source.economics.model_dump(),
        "exploration.share": source.exploration.share,
        **{f"recipe.{name}": value for name, value in source.recipe},
        **{f"model.{name}": value for name, value in model.items() if not hasattr(value, "get_params")},
        **{f"settings.{name}": value for name, value in chosen.settings._asdict().items()},
        "candidate": chosen.candidate,
        "split": chosen.split.how,
        "threshold": manifest.threshold,
        "line": manifest.rule.line,
        "features": ", ".join(f"{f.name}: {f.kind}" for f in manifest.lead_schema.features),
        "bundle_version": manifest.version,
        "rows": manifest.provenance.rows,
        **_sample(manifest.provenance.sample),
        "data_sha256": manifest.provenance.data_sha256,
        "git_commit": manifest.provenance.git_commit,
    }


def _sample(stated: TrainingSample | None) -> dict[str, object]:
    if stated is None:
        return {}
    strata = "; ".join(
        f"{'converted' if s.converted else 'lost'}, {s.younger} younger: {s.sampled} of {s.leads}"
        for s in stated.strata
    )
    return {
        "sample.leads": stated.leads,
        "sample.sampled": stated.sampled,
        "sample.whole": stated.whole,
        "sample.seed": stated.seed,
        "sample.strata": strata,
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
    """The commit that this code was checked out at, or its image built from; None where neither is known."""
    if built_from := os.environ.get("LEADSCORING_COMMIT"):
        return built_from
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return answer.stdout.strip() or None
