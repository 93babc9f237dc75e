"""How the platform is broken, from outside: by signals, by files, by its callers; and how each fault is mended."""

import resource
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from service.model.bundle import POINTER, Pointer, move_pointer, read_pointer
from service.storage import open_storage
from tests.drill.outside import ALERT as HEARTBEAT
from tests.drill.pods import NAMES
from tests.drill.stage import LocalPlatform
from tests.service.api.issuer import AUDIENCE

Severity = Literal["page", "ticket"]
Act = Callable[[LocalPlatform], None]
SLOW_S = 0.4


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
    second: str = ""
    """The alert of what is broken at the same time, which must come too."""


def kill(stage: LocalPlatform) -> None:
    """Every pod is killed."""
    stage.pods.kill(*NAMES)


def kill_one(stage: LocalPlatform) -> None:
    """One of two pods is killed; the other scores."""
    stage.pods.kill(NAMES[-1])


def restart(stage: LocalPlatform) -> None:
    """Pods that are gone come back, and get requests when they have a model."""
    stage.pods.start()


def roll_out(stage: LocalPlatform) -> None:
    """A release whose pods look for models where there are none: the first never gets ready, the old ones stay."""
    (stage.home / "empty").mkdir(exist_ok=True)
    stage.pods.roll_out({"models_url": str(stage.home / "empty")})


def roll_out_back(stage: LocalPlatform) -> None:
    """The release is taken back."""
    stage.pods.roll_back()


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


def fill_disk(stage: LocalPlatform) -> None:
    """No file of a pod's grows any more, so that no record can be kept and no score given: 503."""
    for pid in stage.pods.pids(*NAMES):
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, most))


def free_disk(stage: LocalPlatform) -> None:
    """Files grow again."""
    for pid in stage.pods.pids(*NAMES):
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))


def revoke(stage: LocalPlatform) -> None:
    """The account of the pods may no longer write to the bucket: 403."""
    stage.bucket.revoked = True


def grant(stage: LocalPlatform) -> None:
    """And may again."""
    stage.bucket.revoked = False


def replace_backend(stage: LocalPlatform) -> None:
    """The load balancer's backend has another id: pods answer every caller 401."""
    (stage.home / "audience").write_text("/projects/123/global/backendServices/789")


def restore_backend(stage: LocalPlatform) -> None:
    """Pods know the backend."""
    (stage.home / "audience").write_text(AUDIENCE)


def lock_out(stage: LocalPlatform) -> None:
    """The proxy answers every caller 401, and no pod knows of it."""
    stage.front.refuses = True


def let_in(stage: LocalPlatform) -> None:
    """Callers come through."""
    stage.front.refuses = False


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


def delete_policy(stage: LocalPlatform) -> None:
    """Somebody deletes a policy; the others are as they should be."""
    stage.deleted.append(stage.monitoring.policies.pop())


def deploy_policies(stage: LocalPlatform) -> None:
    """And deploys it again."""
    stage.monitoring.policies.append(stage.deleted.pop())


def slow_and_hidden(stage: LocalPlatform) -> None:
    """Two faults of different parts at the same time."""
    slow(stage)
    hide_pointer(stage)


def fast_and_shown(stage: LocalPlatform) -> None:
    """Both are mended."""
    fast(stage)
    show_pointer(stage)


def burning(promise: str) -> frozenset[str]:
    """The slower windows of the same promise, and its budget."""
    return frozenset(f"{promise}{end}" for end in ("BurnSlow", "BurnSteady", "BudgetHalfSpent", "BudgetSpent"))


JOBS_FAIL = frozenset(["DriftFailing", "DriftLate", "BatchFailing"])
"""Jobs that run just then cannot work either."""
POINTER_OLD = frozenset(["ModelFreshnessBurnSteady"])
LEADS_CHANGE = frozenset(["ScoresShifted", "UnseenValues", "ValuesMissing", "ExpectedRankingBelowFloor"])
UNSCORED = frozenset(["NobodyIsScored", "ProbesFailing"])
PODS_GONE = frozenset(["ScoringPodsHalfGone", "ScoringPodsNotReady"])
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
        "grant",
        "the bucket refuses writes with 403",
        "SpoolNotDraining",
        "ticket",
        "records",
        revoke,
        grant,
        JOBS_FAIL | UPLOADS_FAIL,
    ),
    Fault(
        "disk",
        "the disk takes no more bytes: 503",
        "ScoringAvailabilityBurnFast",
        "page",
        "records",
        fill_disk,
        free_disk,
        burning("ScoringAvailability") | UNSCORED,
    ),
    Fault("pod", "one of two pods is killed", "ScoringPodsNotReady", "ticket", "records", kill_one, restart),
    Fault(
        "rollout",
        "a roll-out stops half-way",
        "ScoringRolloutStuck",
        "ticket",
        "model",
        roll_out,
        roll_out_back,
        POINTER_OLD | {"ModelPointerUnread"},
    ),
    Fault("silence", "the job batch is not started", "BatchLate", "ticket", "jobs", silence, resume),
    Fault("unwatched", "a policy is disabled by hand", HEARTBEAT, "page", "outside", switch_off, switch_on),
    Fault("deleted", "a policy is deleted", HEARTBEAT, "page", "outside", delete_policy, deploy_policies),
    Fault(
        "both",
        "slow requests and no pointer",
        "ScoringLatencyBurnFast",
        "page",
        "model",
        slow_and_hidden,
        fast_and_shown,
        burning("ScoringLatency") | JOBS_FAIL | POINTER_OLD,
        second="ModelPointerUnread",
    ),
    Fault(
        "backend",
        "pods refuse everybody: 401",
        "CallersRefusedByPods",
        "page",
        "last",
        replace_backend,
        restore_backend,
        UNSCORED,
    ),
    Fault("lockout", "the proxy refuses everybody: 401", "NobodyIsScored", "page", "last", lock_out, let_in, UNSCORED),
    Fault("kill", "all pods are killed", "ServiceMetricsAbsent", "page", "last", kill, restart, UNSCORED | PODS_GONE),
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
