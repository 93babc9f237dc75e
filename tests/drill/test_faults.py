"""The faults break what they say, and mending them leaves nothing behind. The store and the bundle are real ones."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from monitoring import catalogue
from service.model.bundle import BundleRefused, load, read_pointer
from service.storage import Conflict, StorageError, open_storage
from tests.drill import faults
from tests.drill.bucket import NAME, RevocableBucket
from tests.drill.faults import FAULTS, Fault
from tests.drill.jobs import CRON
from tests.drill.outside import ALERT
from tests.drill.stage import LocalPlatform
from tests.drill.unreached import NOT_LOCAL, unreached
from tests.facts import stating
from tests.service import forge

NAMES = {alert.name: alert.severity.value for alert in catalogue.alerts()}


@pytest.fixture
def stage(tmp_path: Path) -> Any:
    """Of a stage that which these faults touch."""
    forge.release(open_storage(str(tmp_path / "store")), version="v1")
    return SimpleNamespace(home=tmp_path)


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_names_an_alert_of_the_catalogue_with_its_severity(fault: Fault) -> None:
    assert fault.alert == ALERT or NAMES[fault.alert] == fault.severity
    assert fault.also | {fault.second or fault.alert} <= NAMES.keys() | {ALERT}


def test_faults_of_different_lanes_are_told_apart_by_their_alerts() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    lanes: dict[str, set[str]] = {}
    for fault in FAULTS:
        for alert in filter(None, (fault.alert, fault.second)):
            lanes.setdefault(alert, set()).add(fault.lane)
    assert {alert: found for alert, found in lanes.items() if len(found) > 1} == {}


def test_alerts_that_no_fault_reaches_are_named_with_the_file_that_proves_them() -> None:
    found = {name: each for each in unreached({fault.alert for fault in FAULTS}) for name in each.alerts}
    assert found.keys() | {fault.alert for fault in FAULTS} >= NAMES.keys()
    assert found.keys().isdisjoint(fault.alert for fault in FAULTS)
    assert (found["ScoringPodsUnschedulable"].proven_in, found["ScoringPodsUnschedulable"].why) == (
        "monitoring/proof/scenarios/pods.py",
        NOT_LOCAL[True],
    )
    assert found["SpoolFillsUp"].why == NOT_LOCAL[False]


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


def test_a_revoked_grant_refuses_writes_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = RevocableBucket(tmp_path)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.address)
    stage: Any = SimpleNamespace(bucket=bucket)
    predictions = open_storage(f"gs://{NAME}")
    try:
        predictions.create("predictions/any", b"record\r\n\x00")
        faults.revoke(stage)
        with pytest.raises(StorageError, match=stating(403, "storage.objects.create")):
            predictions.create("predictions/other", b"record")
        faults.grant(stage)
        with pytest.raises(Conflict):
            predictions.create("predictions/any", b"another")
    finally:
        bucket.close()
    assert (tmp_path / "predictions/any").read_bytes() == b"record\r\n\x00"


def test_a_full_disk_takes_no_byte_until_it_is_freed(tmp_path: Path) -> None:
    write = "import sys\nfile = open(sys.argv[1], 'ab', 0)\nfor _ in sys.stdin:\n"
    write += " try: file.write(b'x'); print('kept', flush=True)\n except OSError: print('full', flush=True)"
    command = [sys.executable, "-c", write, str(tmp_path / "spool")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdin
        assert service.stdout
        stage: Any = SimpleNamespace(pods=SimpleNamespace(pids=lambda *_: [service.pid]))
        said = []
        for act in (lambda _: None, faults.fill_disk, faults.free_disk):
            act(stage)
            service.stdin.write("record\n")
            service.stdin.flush()
            said.append(service.stdout.readline().strip())
        service.stdin.close()
    assert said == ["kept", "full", "kept"]
