"""Figures of the jobs, under one name in Prometheus and in Cloud Monitoring; `monitoring` writes alerts on these.

What a job published last is kept as `figures/<job>/<time>.json` in the models' storage. A run that has no figures (it
started, it failed, or it found nothing to do) publishes these again, so none of them vanishes. A run that has figures
replaces them all, so that none outlives the evaluation that no longer has it; those on runs themselves stay.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import Metric, write_to_textfile
from prometheus_client.registry import Collector

from service.lifecycle.runtime.gauges import NAMES, Gauge, PublishFailed
from service.storage import Conflict, Storage, StorageError

PREFIX = "figures/"
ON_RUNS = "leadscoring_job_"
"""How the names of gauges about a job's runs begin."""


def publish(target: str, job: str, gauges: Sequence[Gauge], models: Storage) -> None:
    """Make the gauges known: as time series of `projects/ID[/locations/REGION]`, or in a local folder as `<job>.prom`.

    Kept gauges about runs go with them; other kept ones only where these are about runs alone. The file is replaced
    whole, so that a reader never sees half of it. Raises PublishFailed and StorageError.
    """
    storage_failed: StorageError | None = None
    try:
        names = {gauge.name for gauge in gauges}
        replaced = any(not name.startswith(ON_RUNS) for name in names)
        kept = [gauge for gauge in _kept(models, job) if not replaced or gauge.name.startswith(ON_RUNS)]
        gauges = [*gauges, *(gauge for gauge in kept if gauge.name not in names)]
        with contextlib.suppress(Conflict):  # another run of this very microsecond
            models.create(f"{PREFIX}{job}/{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.json", msgspec.json.encode(gauges))
    except StorageError as error:  # that the storage fails is the very thing to make known
        storage_failed = error
    send(target, job, gauges)
    if storage_failed:
        raise storage_failed


def send(target: str, job: str, gauges: Sequence[Gauge]) -> None:
    """Make these gauges known and keep none of them. Raises PublishFailed."""
    if target.startswith("projects/"):
        # Imported here: it takes a second that a local run need not wait for.
        from service.lifecycle.runtime import cloud_monitoring

        cloud_monitoring.write(target, job, gauges)
    else:
        _write_file(Path(target), job, gauges)


def _write_file(folder: Path, job: str, gauges: Sequence[Gauge]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(folder / f"{job}.prom"), Families(families(job, gauges)))
    except OSError as error:
        raise PublishFailed(f"--metrics {folder}: {error.strerror}") from error


def _kept(models: Storage, job: str) -> list[Gauge]:
    """What the job published last. Names that are no longer known are left out."""
    keys = list(models.keys(f"{PREFIX}{job}/"))
    stored = models.read(keys[-1]) if keys else None
    kept = msgspec.json.decode(stored.data, type=list[dict[str, Any]]) if stored else []
    return [Gauge(**gauge) for gauge in kept if gauge["name"] in NAMES]


def families(job: str, gauges: Sequence[Gauge]) -> Iterator[Metric]:
    """The gauges by name, as Prometheus knows them."""
    for name in dict.fromkeys(gauge.name for gauge in gauges):
        family = Metric(name, NAMES[name], "gauge")
        for gauge in gauges:
            if gauge.name == name:
                family.add_sample(name, {"job": job, **gauge.labels}, gauge.value)
        yield family


class Families(Collector):
    """Metric families that prometheus_client writes as text."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """The families."""
        return self._families
