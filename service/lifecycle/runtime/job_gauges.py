"""Figures of the jobs, under one name in Prometheus and in Cloud Monitoring; `monitoring` writes alerts on these.

What a job published last is kept as `figures/<job>/<time>.json` in the models' storage, and what a run does not say
anew is published again with it: neither a failed run nor one that could not get its figures out makes them vanish.
"""

import contextlib
import os
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from service.storage import Conflict, Storage, StorageError

PREFIX = "figures/"

NAMES = {
    "leadscoring_job_last_start_timestamp_seconds": "When the job was last started.",
    "leadscoring_job_last_success_timestamp_seconds": "When the job last ended well.",
    "leadscoring_job_last_failure_timestamp_seconds": "When the job last failed.",
    "leadscoring_job_duration_seconds": "How long the job's last run took.",
    "leadscoring_evaluation_figure": "The served model on leads with final outcomes, by figure.",
    "leadscoring_evaluation_figure_low": "Lower end of the figure's 95 % interval.",
    "leadscoring_evaluation_figure_high": "Upper end of the figure's 95 % interval.",
    "leadscoring_evaluation_benchmark": "The same figure at training, held out.",
    "leadscoring_evaluation_leads": "Leads with final outcomes that were evaluated.",
    "leadscoring_evaluation_records_missing_ratio": "Share of the scored leads whose record is not there.",
    "leadscoring_evaluation_mean_score": "Mean score of the evaluated leads.",
    "leadscoring_evaluation_near_threshold_ratio": "Share of scores close to the threshold.",
    "leadscoring_conversion_ratio": "Share of a band's leads that converted.",
    "leadscoring_business_contacts": "Contacts decided on, as many as the team can make.",
    "leadscoring_business_revenue": "What the contacted leads that converted were worth.",
    "leadscoring_business_cost": "What the contacts cost.",
    "leadscoring_business_roi_ratio": "Profit over cost.",
    "leadscoring_drift_found": "1 if the leads, scores or decisions differ from training beyond chance.",
    "leadscoring_drift_features": "Features that differ from training beyond chance.",
    "leadscoring_drift_score_distance": "Distance of the scores from those at training (population stability index).",
    "leadscoring_drift_score_shifted": "1 if the scores differ from those at training beyond chance.",
    "leadscoring_feature_missing_excess_ratio": "Share of missing values above training's, by feature.",
    "leadscoring_feature_unseen_ratio": "Share of values that training never saw, by feature.",
    "leadscoring_expected_figure": "What the served model is expected to reach now, without outcomes, by figure.",
    "leadscoring_expected_figure_low": "Lower end of the expectation's interval.",
    "leadscoring_expected_figure_high": "Upper end of the expectation's interval.",
    "leadscoring_champion_trained_timestamp_seconds": "When the served model was trained.",
    "leadscoring_champion_promoted_timestamp_seconds": "When the served model was put in service.",
    "leadscoring_challenger_refused_in_a_row": "Challengers refused since the last promotion.",
}
"""Every gauge that a job exports, with its meaning."""


@dataclass(frozen=True)
class Gauge:
    """One value of one of NAMES. Labels besides the job's own: `figure`, `feature` or `band`."""

    name: str
    value: float
    labels: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"{self.name}: add it to service/lifecycle/runtime/job_gauges.py, with its meaning")


class PublishFailed(Exception):
    """The figures did not go out; the message says where to, why, and what becomes of them."""


def publish(target: str, job: str, gauges: Sequence[Gauge], models: Storage) -> None:
    """Make the gauges known: as time series of `projects/ID[/locations/REGION]`, or in a local folder as `<job>.prom`.

    The file is replaced whole, so that a reader never sees half of it. Raises PublishFailed and StorageError.
    """
    storage_failed: StorageError | None = None
    try:
        said = {gauge.name for gauge in gauges}
        gauges = [*gauges, *(gauge for gauge in _kept(models, job) if gauge.name not in said)]
        with contextlib.suppress(Conflict):  # another run of this very microsecond
            models.create(f"{PREFIX}{job}/{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.json", msgspec.json.encode(gauges))
    except StorageError as error:  # that the storage fails is the very thing to make known
        storage_failed = error
    if target.startswith("projects/"):
        # Imported here: it takes a second that a local run need not wait for.
        from service.lifecycle.runtime import cloud_monitoring

        cloud_monitoring.write(target, job, gauges)
    else:
        _write_file(Path(target), job, gauges)
    if storage_failed:
        raise storage_failed


def _write_file(folder: Path, job: str, gauges: Sequence[Gauge]) -> None:
    draft = folder / f".{job}-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_text(as_text(job, gauges))
        os.replace(draft, folder / f"{job}.prom")
    except OSError as error:
        raise PublishFailed(f"--metrics {folder}: {error.strerror}") from error


def _kept(models: Storage, job: str) -> list[Gauge]:
    """What the job published last. Names that are no longer known are left out."""
    keys = list(models.keys(f"{PREFIX}{job}/"))
    stored = models.read(keys[-1]) if keys else None
    kept = msgspec.json.decode(stored.data, type=list[dict[str, Any]]) if stored else []
    return [Gauge(**gauge) for gauge in kept if gauge["name"] in NAMES]


def as_text(job: str, gauges: Sequence[Gauge]) -> str:
    """The gauges in Prometheus' text format."""
    lines = []
    for name in dict.fromkeys(gauge.name for gauge in gauges):
        lines += [f"# HELP {name} {NAMES[name]}", f"# TYPE {name} gauge"]
        for gauge in gauges:
            if gauge.name == name:
                labels = ",".join(f'{k}="{_escaped(v)}"' for k, v in {"job": job, **gauge.labels}.items())
                lines.append(f"{name}{{{labels}}} {gauge.value!r}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return re.sub(r'[\\"\n]', lambda c: "\\n" if c[0] == "\n" else f"\\{c[0]}", text)
