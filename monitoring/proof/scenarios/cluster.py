"""Stories of the cluster's nightly backup."""

from datetime import timedelta

from monitoring.proof.cases import Firing, Series, Stretch, counter, fires, gauge, stays_silent

TEN = timedelta(minutes=10)
DAY = 1440


def backups(state: str, *after: Stretch) -> Series:
    """Backups a minute that end so."""
    return counter(f'gkebackup_googleapis_com:backup_completion_times_count{{state="{state}"}}', 0, *after)


def cluster(before: float | None = 4, *after: Stretch) -> Series:
    """The cluster is there."""
    return gauge('kube_deployment_spec_replicas{deployment="scoring"}', before, *after)


def nights(*good: int) -> tuple[Stretch, ...]:
    """For each night whether a backup ends well in its first ten minutes."""
    return tuple(stretch for one in good for stretch in ((10, 0.1 * one), (DAY - 10, 0)))


CASES = (
    # Ten minutes late at this step; the failure of the second night is forgotten with the window.
    fires(
        "ClusterBackupFailed",
        "the backup of one night fails",
        cluster(),
        backups("SUCCEEDED", *nights(1, 0, 1)),
        backups("FAILED", *nights(0, 1, 0)),
        step=TEN,
        after=DAY + 10,
        until=2 * DAY + 70,
        lasts=3 * DAY,
        others={"ClusterBackupMissing": Firing(after=DAY + 190, until=2 * DAY + 10)},
    ),
    stays_silent(
        "ClusterBackupFailed",
        "every night's backup ends well",
        cluster(),
        backups("SUCCEEDED", *nights(1, 1)),
        backups("FAILED"),
        step=TEN,
        lasts=2 * DAY - 10,
    ),
    fires(
        "ClusterBackupMissing",
        "no backup is started in the second night",
        cluster(),
        backups("SUCCEEDED", *nights(1, 0, 1)),
        step=TEN,
        after=DAY + 190,
        until=2 * DAY + 10,
        lasts=3 * DAY - 100,
    ),
    stays_silent(
        "ClusterBackupMissing",
        "each backup of three nights ends two hours later than the one before",
        cluster(),
        backups("SUCCEEDED", (10, 0.1), (DAY + 110, 0), (10, 0.1), (DAY + 110, 0), (10, 0.1), (10, 0)),
        step=TEN,
        lasts=2 * DAY + 200,
    ),
    stays_silent(
        "ClusterBackupMissing",
        "the cluster is a day old",
        cluster(None, (DAY + 80, 4)),
        step=TEN,
        lasts=DAY + 80,
    ),
)
