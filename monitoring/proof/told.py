"""Which story proves that an alert reports a way in which something fails: the cells of the coverage matrix.

A story is that of a case, and must tell of that very failure. The matrix is in infra/coverage.toml.
"""

from collections.abc import Iterable, Iterator, Mapping

from monitoring.platform import Platform
from monitoring.proof.cases import Case
from monitoring.proof.decoys import AMONG
from monitoring.proof.scenarios import failures

Cell = tuple[str, str]  # what fails, and how


def _of_job(name: str) -> dict[Cell, dict[str, str]]:
    alert = name.capitalize()
    return {
        (f"job {name}", "down"): {f"{alert}Late": f"{name} ends well once"},
        (f"job {name}", "late"): {f"{alert}Late": f"{name} ended well once, as its file says"},
        (f"job {name}", "erring"): {
            f"{alert}Failing": f"{name} fails for an hour",
            "JobExecutionFailed": failures.KILLED,
        },
        (f"job {name}", "slow"): {
            f"{alert}NearTimeout": f"{name} takes long in one run, and is not run again",
            f"{alert}Overrunning": f"{name} hangs, and ends well when it is run again",
        },
        (f"job {name}", "full"): {"JobExecutionFailed": failures.KILLED},
    }


JOBS = [job.name for job in Platform().jobs]
LATE = {f"{name.capitalize()}Late": failures.NOT_STARTED for name in JOBS}
SERVICE, DATABASE, BUCKET = "kubernetes_manifest", "google_sql_database_instance", "google_storage_bucket"
BALANCER, MLFLOW = "google_compute_backend_service", "google_cloud_run_v2_service"
TOLD: dict[Cell, dict[str, str]] = {
    (SERVICE, "down"): {
        "ScoringPodsHalfGone": "three of four pods are gone",
        "ServiceMetricsAbsent": "ServiceMetricsAbsent: 30 minutes of silence",
    },
    (SERVICE, "erring"): {
        "ScoringAvailabilityBurnFast": "ScoringAvailability: twice BurnFast",
        "ScoringPodsCrashLooping": "two pods restart every five minutes",
        "CallersRefusedByPods": "a pod of four refuses everybody",
        "ScoringErrorsUnhandled": (
            "one request meets a fault of the program, and the thread that follows the pointer another"
        ),
        "ScoringFailuresAmongFew": "a fifth of fifty requests fails over a working day",
        "ScoringContainersWaiting": "two pods crash, again and again, and a third finds no image",
    },
    (SERVICE, "slow"): {
        "ScoringLatencyBurnFast": "ScoringLatency: twice BurnFast",
        "ScoringCpuThrottled": "two pods use 95 % of their CPU",
    },
    (SERVICE, "full"): {
        "SpoolFillsUp": "two spools fill within two hours",
        "ScoringMemoryNearLimit": "two pods hold 88 % of their memory",
        "ScoringOutOfMemory": "two pods fill their memory and are killed",
        "ProcessKilledForMemory": "two processes are killed, one on each of two nodes",
        "ScoringAtAutoscalerCeiling": "ten pods of ten",
        "ScoringRequestsShed": "fifteen of a thousand requests are shed, and then none",
        "ScoringConnectionsRefused": "two pods refuse three connections a minute",
    },
    (SERVICE, "late"): {
        "SpoolNotDraining": "uploads stop",
        "ModelMovedNotLoaded": "one pod stays behind",
        "ScoringRolloutStuck": "the first pod of a new version never gets ready",
    },
    (SERVICE, "wrong"): {
        "PodsDisagreeOnModel": "one pod serves another version",
        "AgreedMetricBelowBenchmark": "even the best that the agreed profit may be is less, and ROC-AUC is as good",
        "RecordsNotWritten": "two of a hundred leads have no record",
    },
    (SERVICE, "expiring"): {"ModelTooOld": "trained 45 days ago"},
    ("google_container_cluster", "down"): {"PodMetricsAbsent": "PodMetricsAbsent: 60 minutes of silence"},
    ("google_container_cluster", "erring"): {"ScoringPodsNotReady": "one of four pods is not ready"},
    ("google_container_cluster", "full"): {"ScoringPodsUnschedulable": "a pod finds no node"},
    (BALANCER, "down"): {"FrontDoorDown": failures.UNREACHABLE},
    (BALANCER, "erring"): {
        "FrontDoorFailsBeforePods": "one in ten never arrives",
        "CallersRefusedAtFrontDoor": "nobody has the role any more",
    },
    (BALANCER, "slow"): {"FrontDoorSlow": "five of a hundred wait"},
    (BALANCER, "wrong"): {"PodsUnknownToLoadBalancer": "a new pod gets no request"},
    ("google_certificate_manager_certificate", "down"): {"FrontDoorDown": failures.UNREACHABLE},
    ("google_certificate_manager_certificate", "wrong"): {"FrontDoorDown": failures.UNREACHABLE},
    ("google_certificate_manager_certificate", "expiring"): {"CertificateExpiresSoon": "13 days are left"},
    ("google_compute_security_policy", "full"): {"CallersBlocked": "a third is blocked"},
    ("google_compute_security_policy", "wrong"): {"CallersBlocked": "a third is blocked"},
    ("google_compute_router_nat", "down"): {"JobExecutionFailed": failures.NO_WAY_OUT},
    ("google_compute_router_nat", "erring"): {"JobExecutionFailed": failures.NO_WAY_OUT},
    ("google_compute_router_nat", "full"): {"NatExhausted": "no address is left"},
    (BUCKET, "down"): {
        "RecordUploadsFailing": failures.BUCKET_AWAY,
        "ModelPointerUnread": failures.BUCKET_AWAY,
    },
    (BUCKET, "erring"): {
        "RecordUploadsFailing": failures.BUCKET_ERRS,
        "ModelPointerUnread": failures.BUCKET_ERRS,
    },
    (BUCKET, "slow"): {"SpoolNotDraining": "uploads stop"},
    (BUCKET, "wrong"): {"RecordsMissingInBucket": "2 % are missing", "ModelBundleRefused": "two bundles are refused"},
    (DATABASE, "down"): {
        "DatabaseDown": "the database stops",
        "DatabaseMetricsAbsent": "DatabaseMetricsAbsent: 90 minutes of silence",
    },
    (DATABASE, "erring"): {
        "MlflowAvailabilityBurnSlow": (
            "jobs' calls fail, for the database lets nobody in, and people load the frames of pages"
        )
    },
    (DATABASE, "slow"): {"DatabaseCpuHigh": "cpu at 0.95"},
    (DATABASE, "full"): {
        "DatabaseDiskNearlyFull": "171 of 200 GB",
        "DatabaseConnectionsNearLimit": "85 of 100 are taken",
        "DatabaseMemoryHigh": "memory at 0.95",
    },
    (DATABASE, "wrong"): {"MlflowDown": "a job's eight calls fail, for the database lets nobody in"},
    (MLFLOW, "down"): {"MlflowDown": "eight errors and nothing else"},
    (MLFLOW, "erring"): {
        "MlflowAvailabilityBurnSlow": "MlflowAvailability: twice BurnSlow",
        "MlflowAvailabilityBurnSteady": "MlflowAvailability: twice BurnSteady",
    },
    (MLFLOW, "slow"): {"MlflowSlow": "a tenth takes long"},
    (MLFLOW, "full"): {"MlflowMemoryNearLimit": "it is full"},
    **{("job train", way): {"JobExecutionFailed": failures.KILLED} for way in ("erring", "full")},
    ("job probe", "down"): {
        "ProbesFailing": "no probe runs for two hours",
        "NobodyIsScored": "no probe runs, and nobody calls",
    },
    ("job probe", "erring"): {
        "ProbesFailing": "no probe gets a score for an hour, while callers do",
        "JobExecutionFailed": failures.KILLED,
    },
    **{("job probe", way): {"JobExecutionFailed": failures.KILLED} for way in ("slow", "full")},
    ("job probe", "late"): {"ProbesFailing": "no probe runs for two hours"},
    **{("job heartbeat", way): {"JobExecutionFailed": failures.KILLED} for way in ("erring", "slow", "full")},
    **{cell: stories for name in JOBS for cell, stories in _of_job(name).items()},
    ("job compact", "late"): {
        "CompactLate": "compact ended well once, as its file says",
        "RecordsNotCompacted": "compaction is not started for eight hours",
    },
    ("job evaluate", "wrong"): {
        "TooFewOutcomes": "evaluation_leads is 195",
        "FiguresOfContactedLeadsOnly": "one evaluation a day for five days, of which the last is of all leads",
        "RecordsMissingInBucket": "2 % are missing",
    },
    ("job retrain", "wrong"): {
        "ChallengersRefused": "challenger_refused_in_a_row is 3",
        "ModelBundleRefused": "two bundles are refused",
    },
    ("job compact", "wrong"): {
        "RecordsMissingInBucket": "2 % are missing",
        "RecordsUnreadable": "an object is no file of records, and is moved away two hours later",
    },
    **{("google_cloud_scheduler_job", way): LATE for way in ("down", "erring", "late")},
    ("google_artifact_registry_repository", "down"): {
        "ScoringPodsNotReady": failures.NO_IMAGE,
        "JobExecutionFailed": failures.NO_IMAGE,
    },
    ("google_artifact_registry_repository", "erring"): {"ScoringPodsNotReady": failures.NO_IMAGE},
    ("google_gke_backup_backup_plan", "erring"): {"ClusterBackupFailed": "the backup of one night fails"},
    ("google_gke_backup_backup_plan", "late"): {"ClusterBackupMissing": "no backup is started in the second night"},
    ("google_kms_crypto_key", "down"): {
        "RecordUploadsFailing": failures.KEY_DISABLED,
        "DatabaseDown": failures.KEY_DISABLED,
    },
    ("google_kms_crypto_key", "erring"): {
        "RecordUploadsFailing": failures.BUCKET_AWAY,
        "ModelPointerUnread": failures.BUCKET_AWAY,
    },
    ("google_dns_managed_zone", "down"): {
        "RecordUploadsFailing": failures.BUCKET_AWAY,
        "ModelPointerUnread": failures.BUCKET_AWAY,
        "JobExecutionFailed": failures.NO_WAY_OUT,
    },
    ("google_dns_managed_zone", "wrong"): {
        "RecordUploadsFailing": failures.BUCKET_AWAY,
        "ModelPointerUnread": failures.BUCKET_AWAY,
    },
    **{
        ("google_monitoring_uptime_check_config", way): {
            "UptimeCheckAbsent": "UptimeCheckAbsent: 90 minutes of silence"
        }
        for way in ("down", "wrong")
    },
}


def untold(
    cells: Mapping[Cell, Iterable[str]], cases: Iterable[Case], told: Mapping[Cell, Mapping[str, str]] = TOLD
) -> Iterator[str]:
    """Each alert of a cell that no story proves, and each story that proves none of the cells."""
    fired: dict[str, set[str]] = {}
    for case in cases:
        fired.setdefault(case.story.removesuffix(AMONG), set()).update(case.fires)
    for cell, alerts in cells.items():
        stories = told.get(cell, {})
        for alert in alerts:
            where = f"{cell[0]}, {cell[1]}: {alert}"
            if (story := stories.get(alert)) is None:
                yield f"{where} is proven by no story; name one in monitoring/proof/told.py"
            elif story not in fired:
                yield f"{where}: no case tells the story {story!r}"
            elif alert not in fired[story]:
                yield f"{where} does not fire in the story {story!r}"
    for cell, stories in told.items():
        for alert in stories.keys() - set(cells.get(cell, ())):
            yield f"{cell[0]}, {cell[1]}: the matrix does not name {alert}"
