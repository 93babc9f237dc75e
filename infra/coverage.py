"""What is watched: everything of the plan that can fail at run time, against the ways to fail.

A cell is covered by alerts, waived with a reason, or cannot be. Refused are a resource type that nobody has thought
about, an open cell, a name that is no alert, and more than one waiver in four cells.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from infra.environments import ENVIRONMENTS
from infra.rehearsal.synthesis import Stack, synthesize
from monitoring import catalogue
from monitoring.platform import Platform

WAYS = ("down", "erring", "slow", "full", "late", "wrong", "expiring")
MOST_WAIVED = 0.25


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that can fail: alerts by way, waivers with their reasons, and ways in which it cannot fail."""

    alerts: Mapping[str, tuple[str, ...]]
    waived: Mapping[str, str] = field(default_factory=dict)
    cannot: Mapping[str, str] = field(default_factory=dict)


def job(name: str, wrong: tuple[str, ...] = (), waived: Mapping[str, str] | None = None) -> Row:
    """A scheduled job."""
    late, failing, over, near = (f"{name}{what}" for what in ("Late", "Failing", "Overrunning", "NearTimeout"))
    ways = {"down": (late,), "erring": (failing, "JobExecutionFailed"), "slow": (near, over), "late": (late,)}
    if wrong:
        ways["wrong"] = wrong
    return Row({**ways, "full": ("JobExecutionFailed",)}, waived or {}, {"expiring": "nothing of it ends by date"})


NO_DATE = {"expiring": "nothing of it ends by date"}
NO_TIME = {"late": "it does nothing at set times"}
DATABASE_FULL = ("DatabaseDiskNearlyFull", "DatabaseConnectionsNearLimit", "DatabaseMemoryHigh")
UPLOADS = ("RecordUploadsFailing", "ModelPointerUnread")
ROWS: Mapping[str, Row] = {
    "kubernetes_manifest": Row(
        {
            "down": ("ScoringPodsHalfGone", "ServiceMetricsAbsent"),
            "erring": ("ScoringAvailabilityBurnFast", "ScoringPodsCrashLooping", "CallersRefusedByPods"),
            "slow": ("ScoringLatencyBurnFast", "ScoringCpuThrottled"),
            "full": (
                "SpoolHalfFull",
                "ScoringMemoryNearLimit",
                "ScoringOutOfMemory",
                "ScoringAtAutoscalerCeiling",
                "ScoringRequestsShed",
                "ScoringConnectionsRefused",
            ),
            "late": ("SpoolNotDraining", "ModelMovedNotLoaded"),
            "wrong": ("PodsDisagreeOnModel", "RankingBelowBenchmark", "RecordsNotWritten"),
            "expiring": ("ModelTooOld",),
        }
    ),
    "google_container_cluster": Row(
        {"down": ("PodMetricsAbsent",), "erring": ("ScoringPodsNotReady",), "full": ("ScoringPodsUnschedulable",)},
        {
            "slow": "a slow control plane delays changes, not scores; pods that come late are ScoringPodsNotReady",
            "expiring": "the release channel upgrades it before a version's end",
        },
        {**NO_TIME, "wrong": "it computes nothing"},
    ),
    "google_compute_backend_service": Row(
        {
            "down": ("FrontDoorDown",),
            "erring": ("FrontDoorFailsBeforePods", "CallersRefusedAtFrontDoor"),
            "slow": ("FrontDoorSlow",),
            "wrong": ("PodsUnknownToLoadBalancer",),
        },
        {},
        {**NO_TIME, **NO_DATE, "full": "Google's front ends have no limit of ours; what they drop is erring"},
    ),
    "google_certificate_manager_certificate": Row(
        {"down": ("FrontDoorDown",), "wrong": ("FrontDoorDown",), "expiring": ("CertificateExpiresSoon",)},
        {},
        dict.fromkeys(("erring", "slow", "full", "late"), "a certificate is valid or is not"),
    ),
    "google_compute_security_policy": Row(
        {"wrong": ("CallersBlocked",), "full": ("CallersBlocked",)},
        {},
        {**NO_TIME, **NO_DATE, **dict.fromkeys(("down", "erring", "slow"), "it is part of the load balancer")},
    ),
    "google_compute_router_nat": Row(
        {"full": ("NatExhausted",), "down": ("JobExecutionFailed",), "erring": ("JobExecutionFailed",)},
        {"slow": "what a job waits for at the CRM is in its duration: ...NearTimeout"},
        {**NO_TIME, **NO_DATE, "wrong": "it computes nothing"},
    ),
    "google_storage_bucket": Row(
        {
            "down": UPLOADS,
            "erring": UPLOADS,
            "slow": ("SpoolNotDraining",),
            "wrong": ("RecordsMissingInBucket", "ModelBundleRefused"),
        },
        {"expiring": "objects end by the retention that the environment states; that is wanted"},
        {**NO_TIME, "full": "a bucket has no size limit"},
    ),
    "google_sql_database_instance": Row(
        {
            "down": ("DatabaseDown", "DatabaseMetricsAbsent"),
            "erring": ("MlflowAvailabilityBurnSlow",),
            "slow": ("DatabaseCpuHigh",),
            "full": DATABASE_FULL,
            "wrong": ("MlflowDown",),
        },
        {
            "late": "a backup that was not made: Cloud SQL tells of it by its own mail; no metric of it was found",
            "expiring": "its server certificate lives ten years and Google tells owners before",
        },
    ),
    "google_cloud_run_v2_service": Row(
        {
            "down": ("MlflowDown",),
            "erring": ("MlflowAvailabilityBurnSlow", "MlflowAvailabilityBurnSteady"),
            "slow": ("MlflowSlow",),
            "full": ("MlflowMemoryNearLimit",),
        },
        {"wrong": "what a job records wrongly is the job's fault, and its tests'"},
        {**NO_TIME, **NO_DATE},
    ),
    "job train": Row(
        {"full": ("JobExecutionFailed",), "erring": ("JobExecutionFailed",)},
        {"wrong": "a model that is wrong from the start shows in RankingBelowBenchmark when outcomes come"},
        {**NO_TIME, **NO_DATE, **dict.fromkeys(("down", "slow"), "who starts it by hand sees how it goes")},
    ),
    "job evaluate": job("Evaluate", ("TooFewOutcomes", "RecordsMissingInBucket")),
    "job drift": job(
        "Drift", waived={"wrong": "a missed drift shows in RankingBelowBenchmark when outcomes come, not before"}
    ),
    "job retrain": job("Retrain", ("ChallengersRefused", "ModelBundleRefused")),
    "job batch": job(
        "Batch", waived={"wrong": "it scores with the service's own bundle, which is verified before it is used"}
    ),
    "job heartbeat": Row(
        {"erring": ("JobExecutionFailed",), "slow": ("JobExecutionFailed",), "full": ("JobExecutionFailed",)},
        {"down": "its silence pages from outside: that is what it is for", "late": "the same"},
        {**NO_DATE, "wrong": "a call that comes though something is wrong is what its tests are for"},
    ),
    "google_cloud_scheduler_job": Row(
        {
            "down": ("EvaluateLate", "DriftLate", "RetrainLate", "BatchLate"),
            "erring": ("EvaluateLate", "DriftLate", "RetrainLate", "BatchLate"),
            "late": ("EvaluateLate", "DriftLate", "RetrainLate", "BatchLate"),
        },
        {"wrong": "a job that is started twice does no harm"},
        {**NO_DATE, **dict.fromkeys(("slow", "full"), "it only makes a call")},
    ),
    "google_artifact_registry_repository": Row(
        {"down": ("ScoringPodsNotReady", "JobExecutionFailed"), "erring": ("ScoringPodsNotReady",)},
        {"wrong": "Binary Authorization refuses an image that was not attested"},
        {**NO_TIME, **NO_DATE, "slow": "images are pulled before pods are ready", "full": "it has no size limit"},
    ),
    "google_kms_crypto_key": Row(
        {"down": ("RecordUploadsFailing", "DatabaseDown"), "erring": UPLOADS},
        {"expiring": "it is rotated, old versions stay enabled"},
        {**NO_TIME, **dict.fromkeys(("slow", "full", "wrong"), "it answers or does not")},
    ),
    "google_dns_managed_zone": Row(
        {"down": (*UPLOADS, "JobExecutionFailed"), "wrong": UPLOADS},
        {},
        {**NO_TIME, **NO_DATE, **dict.fromkeys(("erring", "slow", "full"), "it answers or does not")},
    ),
    "google_monitoring_uptime_check_config": Row(
        {"down": ("UptimeCheckAbsent",), "wrong": ("UptimeCheckAbsent",)},
        {},
        {**NO_TIME, **NO_DATE, **dict.fromkeys(("erring", "slow", "full"), "it answers or does not")},
    ),
    "google_monitoring_notification_channel": Row(
        {},
        {
            "down": "what tells cannot tell of its own silence: the job heartbeat falls silent, which pages outside",
            "wrong": "a page is sent by hand after each change of a channel",
        },
        {**NO_TIME, **NO_DATE, **dict.fromkeys(("erring", "slow", "full"), "it tells or does not")},
    ),
    "google_gke_backup_backup_plan": Row(
        {},
        {
            "erring": "pods hold nothing but the spool; no metric of backups was found",
            "late": "the same",
        },
        {**NO_DATE, **dict.fromkeys(("down", "slow", "full", "wrong"), "the cluster is deployed again from code")},
    ),
}
# What only says how something is set: who may do what, how names resolve, which rules hold. It fails when it is
# changed, which a plan shows, or with what it belongs to.
SETTINGS = frozenset(
    [
        "google_artifact_registry_repository_iam_member",
        "google_billing_budget",
        "google_binary_authorization_policy",
        "google_certificate_manager_certificate_map",
        "google_certificate_manager_certificate_map_entry",
        "google_certificate_manager_dns_authorization",
        "google_cloud_run_v2_job_iam_member",
        "google_cloud_run_v2_service_iam_member",
        "google_compute_address",
        "google_compute_firewall",
        "google_compute_global_address",
        "google_compute_global_forwarding_rule",
        "google_compute_health_check",
        "google_compute_network",
        "google_compute_router",
        "google_compute_ssl_policy",
        "google_compute_subnetwork",
        "google_compute_target_http_proxy",
        "google_compute_target_https_proxy",
        "google_compute_url_map",
        "google_dns_record_set",
        "google_iam_workload_identity_pool",
        "google_iam_workload_identity_pool_provider",
        "google_iap_web_backend_service_iam_member",
        "google_kms_crypto_key_iam_member",
        "google_kms_key_ring",
        "google_logging_metric",
        "google_logging_project_bucket_config",
        "google_logging_project_exclusion",
        "google_logging_project_sink",
        "google_monitoring_alert_policy",
        "google_monitoring_dashboard",
        "google_project_iam_audit_config",
        "google_project_iam_member",
        "google_project_service",
        "google_secret_manager_secret",
        "google_secret_manager_secret_iam_member",
        "google_service_account",
        "google_service_account_iam_member",
        "google_service_networking_connection",
        "google_sql_database",
        "google_sql_user",
        "google_storage_bucket_iam_member",
        "kubernetes_config_map_v1",
    ]
)


def things(stacks: Iterable[Stack]) -> frozenset[str]:
    """What a plan builds, by resource type; a scheduled job on its own."""
    found: set[str] = set()
    for stack in stacks:
        for type_name, resources in stack.config.get("resource", {}).items():
            if type_name == "google_cloud_run_v2_job":
                found |= {f"job {name}" for name in resources if name != "migrate"}  # a deployment runs that one
            else:
                found.add(type_name)
    return frozenset(found)


def gaps(built: frozenset[str], alerts: frozenset[str], rows: Mapping[str, Row] = ROWS) -> Iterator[str]:
    """What is wrong with the matrix for what is built; nothing when all is covered."""
    for thing in sorted(built - rows.keys() - SETTINGS):
        yield f"{thing}: nobody has said how it fails; add a row, or name it among the settings"
    for thing in sorted(built & rows.keys()):
        row = rows[thing]
        for way in WAYS:
            told = [way in each for each in (row.alerts, row.waived, row.cannot)]
            if sum(told) != 1:
                yield f"{thing}, {way}: {'said twice' if any(told) else 'no alert and no waiver'}"
            for name in row.alerts.get(way, ()):
                if name not in alerts:
                    yield f"{thing}, {way}: no alert is called {name}"
    waived, cells = count(built, rows)
    if waived > MOST_WAIVED * cells:
        yield f"{waived} of {cells} cells are waived; at most {MOST_WAIVED:.0%} may be"


def count(built: frozenset[str], rows: Mapping[str, Row] = ROWS) -> tuple[int, int]:
    """Waived cells, and cells in which something can fail."""
    used = [rows[thing] for thing in built & rows.keys()]
    return sum(len(row.waived) for row in used), sum(len(WAYS) - len(row.cannot) for row in used)


def matrix(built: frozenset[str], rows: Mapping[str, Row] = ROWS) -> str:
    """The matrix as text."""
    lines = []
    for thing in sorted(built & rows.keys()):
        lines.append(thing)
        row = rows[thing]
        for way in WAYS:
            said = ", ".join(row.alerts.get(way, ())) or (
                f"waived: {row.waived[way]}" if way in row.waived else f"cannot: {row.cannot.get(way, '?')}"
            )
            lines.append(f"  {way:9} {said}")
    waived, cells = count(built, rows)
    return "\n".join([*lines, f"{cells} cells, {waived} waived ({waived / cells:.0%}; at most {MOST_WAIVED:.0%})"])


def main(arguments: list[str] | None = None) -> int:
    """Print the matrix of an environment and what is wrong with it."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.coverage",
        description=__doc__,
        epilog="examples:\n  python -m infra.coverage prod\nexit status: 0 covered, 1 a gap, 2 wrong use\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("environment", choices=ENVIRONMENTS)
    env = ENVIRONMENTS[parser.parse_args(arguments).environment]
    built = things(synthesize(env))
    print(matrix(built))
    names = frozenset(a.name for a in catalogue.alerts(Platform(database_connections=env.database_connections)))
    found = list(gaps(built, names))
    for gap in found:
        print(gap, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
