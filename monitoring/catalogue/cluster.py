"""The cluster itself: the nightly backup of its objects, infra/stacks/cluster.py."""

from datetime import timedelta
from functools import partial

from monitoring.alerts import Alert, Severity

ticket = partial(Alert, severity=Severity.TICKET, runbook="pods.md", panel="Backups of the cluster")
HOUR = timedelta(hours=1)


def backups(state: str) -> str:
    """Backups that ended so within a day and an hour: the schedule makes one each night."""
    return f'sum(increase(gkebackup_googleapis_com:backup_completion_times_count{{state="{state}"}}[25h]))'


ALERTS = (
    ticket(
        name="ClusterBackupFailed",
        expr=f"{backups('FAILED')} > 0.5",
        hold=0 * HOUR,
        summary="A backup of the cluster's objects failed: after a loss of the cluster the newest copy is older.",
    ),
    ticket(
        name="ClusterBackupMissing",
        # A cluster that is younger than the window need not have one yet.
        expr=(
            f"vector(1) unless on () {backups('SUCCEEDED')} > 0.5\n"
            'and on ()\ncount(kube_deployment_spec_replicas{deployment="scoring"} offset 25h) > 0'
        ),
        hold=2 * HOUR,
        summary="No backup of the cluster's objects has succeeded for more than a day.",
    ),
)
