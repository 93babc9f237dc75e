"""How the platform is broken, from outside: by signals, by files, by its callers; and how each fault is mended."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from service.model.bundle import POINTER, Pointer, move_pointer, read_pointer
from service.storage import open_storage
from tests.drill.outside import ALERT as HEARTBEAT
from tests.drill.stage import LocalPlatform

Severity = Literal["page", "ticket"]
Act = Callable[[LocalPlatform], None]
SLOW_S = 0.4
EMPTY_S = 15.0


@dataclass(frozen=True)
class Fault:
    """A fault, the alert that must tell of it, and the lane in which it waits its turn: lanes go side by side.

    `also` are alerts that may come with it.
    """

    name: str
    does: str
    alert: str
    severity: Severity
    lane: str
    inject: Act
    mend: Act
    also: frozenset[str] = frozenset()


def kill(stage: LocalPlatform) -> None:
    """As the kernel does to what uses too much memory."""
    os.kill(stage.service.pid, signal.SIGKILL)


def restart(stage: LocalPlatform) -> None:
    """As the cluster does, which sends a pod no request before it has a model."""
    stage.traffic.paused.set()
    stage.start_service()
    stage.traffic.paused.clear()


def corrupt(stage: LocalPlatform) -> None:
    """Promote a copy of the served bundle of whose model one byte is wrong."""
    pointer, generation = _pointed(stage)
    spoilt = f"{pointer.version}-spoilt"
    folder = stage.home / "store/models" / spoilt
    shutil.copytree(folder.with_name(pointer.version), folder)
    (model,) = folder.glob("*.onnx")
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    _move(stage, pointer, generation, spoilt)


def roll_back(stage: LocalPlatform) -> None:
    """Point to the bundle that was served before."""
    pointer, generation = _pointed(stage)
    _move(stage, pointer, generation, str(pointer.before))


def hide_pointer(stage: LocalPlatform) -> None:
    """A folder where the pointer should be: it can no longer be read."""
    pointer = stage.home / "store" / POINTER
    pointer.rename(_away(pointer))
    pointer.mkdir()


def show_pointer(stage: LocalPlatform) -> None:
    """The pointer as it was."""
    pointer = stage.home / "store" / POINTER
    pointer.rmdir()
    _away(pointer).rename(pointer)


def slow(stage: LocalPlatform) -> None:
    """Requests' bodies come late."""
    stage.front.hold_s = SLOW_S


def fast(stage: LocalPlatform) -> None:
    """Requests come at once."""
    stage.front.hold_s = 0.0


def break_disk(stage: LocalPlatform) -> None:
    """The spool's folder is gone, so that no record can be kept and no score given: 503. No record waits in it."""
    stage.traffic.paused.set()
    deadline = time.monotonic() + EMPTY_S
    while stage.gauge("leadscoring_spool_bytes") and time.monotonic() < deadline:
        time.sleep(0.1)
    (stage.home / "spool").rename(_away(stage.home / "spool"))
    stage.traffic.paused.clear()


def mend_disk(stage: LocalPlatform) -> None:
    """The spool's folder is back."""
    _away(stage.home / "spool").rename(stage.home / "spool")


def block_sink(stage: LocalPlatform) -> None:
    """A file where the records' folder should be: no upload succeeds."""
    sink = stage.home / "predictions"
    sink.rename(_away(sink))
    sink.touch()


def unblock_sink(stage: LocalPlatform) -> None:
    """The records' folder as it was."""
    sink = stage.home / "predictions"
    sink.unlink()
    _away(sink).rename(sink)


def silence(stage: LocalPlatform) -> None:
    """The schedule is paused."""
    stage.jobs.silenced.add("batch")


def resume(stage: LocalPlatform) -> None:
    """The schedule goes on."""
    stage.jobs.silenced.discard("batch")


def drift(stage: LocalPlatform) -> None:
    """Leads come without what was tracked of them."""
    stage.traffic.drifted = True


def settle(stage: LocalPlatform) -> None:
    """Leads come as they were trained on."""
    stage.traffic.drifted = False


def switch_off(stage: LocalPlatform) -> None:
    """Somebody disables a policy by hand."""
    stage.monitoring.policies[0].enabled = False


def switch_on(stage: LocalPlatform) -> None:
    """And enables it again."""
    stage.monitoring.policies[0].enabled = True


def burning(promise: str) -> frozenset[str]:
    """The slower windows of the same promise, and its budget."""
    return frozenset(f"{promise}{end}" for end in ("BurnSlow", "BurnSteady", "BudgetHalfSpent", "BudgetSpent"))


JOBS_FAIL = frozenset(["DriftFailing", "DriftLate", "BatchFailing"])
"""Jobs that run just then cannot work either."""
POINTER_OLD = frozenset(["ModelFreshnessBurnSteady"])
LEADS_CHANGE = frozenset(["ScoresShifted", "UnseenValues", "ValuesMissing", "ExpectedRankingBelowFloor"])
UPLOADS_FAIL = frozenset(["RecordUploadsFailing"])

FAULTS = (
    Fault(
        "slow",
        "requests take 0.4 s",
        "ScoringLatencyBurnFast",
        "page",
        "model",
        slow,
        fast,
        burning("ScoringLatency"),
    ),
    Fault(
        "corrupt", "the next bundle is corrupt", "ModelBundleRefused", "ticket", "model", corrupt, roll_back, JOBS_FAIL
    ),
    Fault(
        "pointer",
        "the pointer cannot be read",
        "ModelPointerUnread",
        "ticket",
        "model",
        hide_pointer,
        show_pointer,
        JOBS_FAIL | POINTER_OLD,
    ),
    Fault("drift", "leads come without tracking", "LeadsDrifted", "ticket", "records", drift, settle, LEADS_CHANGE),
    Fault(
        "sink",
        "records cannot be uploaded",
        "SpoolNotDraining",
        "ticket",
        "records",
        block_sink,
        unblock_sink,
        JOBS_FAIL | UPLOADS_FAIL,
    ),
    Fault(
        "errors",
        "requests fail with 503",
        "ScoringAvailabilityBurnFast",
        "page",
        "records",
        break_disk,
        mend_disk,
        burning("ScoringAvailability"),
    ),
    Fault("silence", "the job batch is not started", "BatchLate", "ticket", "jobs", silence, resume),
    Fault("unwatched", "a policy is disabled by hand", HEARTBEAT, "page", "outside", switch_off, switch_on),
    Fault("kill", "the service is killed", "ServiceMetricsAbsent", "page", "last", kill, restart),
)
LAST = "last"
"""The lane that waits for all others: with the service every other fault would vanish."""


def _pointed(stage: LocalPlatform) -> tuple[Pointer, str]:
    found = read_pointer(open_storage(str(stage.home / "store")))
    if found is None:
        raise FileNotFoundError(stage.home / "store" / POINTER)
    return found


def _move(stage: LocalPlatform, pointer: Pointer, generation: str, version: str) -> None:
    moved = pointer.model_copy(
        update={
            "version": version,
            "before": pointer.version,
            "moved_at": datetime.now(UTC),
            "moved_by": "drill",
            "reason": "a drill",
        }
    )
    move_pointer(open_storage(str(stage.home / "store")), moved, generation)


def _away(path: Path) -> Path:
    return path.with_name(f"{path.name}.away")
