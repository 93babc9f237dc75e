"""The faults break what they say, and mending them leaves nothing behind. The store and the bundle are real ones."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from monitoring import catalogue
from service.model.bundle import BundleRefused, load, read_pointer
from service.storage import StorageError, open_storage
from tests.drill import faults
from tests.drill.faults import FAULTS, Fault
from tests.drill.jobs import CRON
from tests.drill.outside import ALERT
from tests.drill.stage import LocalPlatform
from tests.facts import stating
from tests.service import forge

NAMES = {alert.name: alert.severity.value for alert in catalogue.alerts()}


@pytest.fixture
def stage(tmp_path: Path) -> Any:
    """Of a stage that which these faults touch."""
    forge.release(open_storage(str(tmp_path / "store")), version="v1")
    for name in ("predictions", "spool"):
        (tmp_path / name).mkdir()
    return SimpleNamespace(home=tmp_path)


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_names_an_alert_of_the_catalogue_with_its_severity(fault: Fault) -> None:
    assert fault.alert == ALERT or NAMES[fault.alert] == fault.severity
    assert fault.also <= NAMES.keys()


def test_faults_are_told_apart_by_their_alerts() -> None:
    assert len({fault.alert for fault in FAULTS}) == len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_the_jobs_that_run_are_those_whose_alerts_are_loaded() -> None:
    assert all(f"{job.capitalize()}Late" in NAMES for job in CRON)


def test_a_corrupt_bundle_is_pointed_to_and_refused_and_the_old_one_comes_back(stage: LocalPlatform) -> None:
    models = open_storage(str(stage.home / "store"))
    faults.corrupt(stage)
    pointed = read_pointer(models)
    assert pointed
    assert pointed[0].version == "v1-spoilt"
    with pytest.raises(BundleRefused, match=stating("onnx", "published sum")):
        load(models, pointed[0])
    faults.roll_back(stage)
    pointed = read_pointer(models)
    assert pointed
    assert load(models, pointed[0]).version == "v1"


def test_a_hidden_pointer_cannot_be_read_and_comes_back_unchanged(stage: LocalPlatform) -> None:
    models, before = open_storage(str(stage.home / "store")), tree(stage.home)
    faults.hide_pointer(stage)
    with pytest.raises(StorageError):
        read_pointer(models)
    faults.show_pointer(stage)
    assert read_pointer(models)
    assert tree(stage.home) == before


def test_a_blocked_sink_takes_no_record_and_comes_back_unchanged(stage: LocalPlatform) -> None:
    predictions, before = open_storage(str(stage.home / "predictions")), tree(stage.home)
    faults.block_sink(stage)
    with pytest.raises(StorageError):
        predictions.create("predictions/any", b"record")
    faults.unblock_sink(stage)
    assert tree(stage.home) == before
    predictions.create("predictions/any", b"record")
