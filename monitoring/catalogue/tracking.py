"""MLflow and its database. Serving never depends on them, so nobody is woken.

That MLflow is up and its database lets it in no more needs no alert of its own: all that needs the database is answered
with 503 then, which is MlflowDown, or MlflowAvailabilityBurnSlow where the frames of pages are answered well meanwhile;
a database that stopped is DatabaseDown, used or not. The figure that the server exports beside, `/metrics`, is for a
Prometheus that can reach it; nobody scrapes Cloud Run.
"""

from datetime import timedelta
from functools import partial

from monitoring.alerts import Alert, Severity

ticket = partial(Alert, severity=Severity.TICKET, runbook="mlflow.md")
MINUTE = timedelta(minutes=1)
REVISION = 'monitored_resource="cloud_run_revision"'
DATABASE = 'monitored_resource="cloudsql_database"'


def requests(status: str) -> str:
    """MLflow's answers of the last half hour with this class of status."""
    return f'sum(increase(run_googleapis_com:request_count{{{REVISION},response_code_class="{status}"}}[30m]))'


def distribution(name: str) -> str:
    """Half an hour of one of Cloud Run's distributions, in buckets."""
    return f"sum by (le) (increase(run_googleapis_com:{name}_bucket{{{REVISION}}}[30m]))"


def database(name: str, minutes: int) -> str:
    """The mean of a share of the database's machine over so many minutes."""
    return f"max(avg_over_time(cloudsql_googleapis_com:database_{name}_utilization{{{DATABASE}}}[{minutes}m]))"


SERVER = (
    ticket(
        name="MlflowDown",
        # No traffic is no series, and MLflow may scale to nothing: it is down when it answers 5xx alone.
        expr=f"{requests('5xx')} > 5\nunless\n{requests('2xx')} > 0",
        hold=5 * MINUTE,
        summary="MLflow answers nothing but 5xx: jobs cannot record their runs and retraining fails.",
        panel="MLflow's requests",
    ),
    ticket(
        name="MlflowSlow",
        expr=(f"histogram_quantile(0.95, {distribution('request_latencies')}) > 5000\nand\n{requests('2xx')} >= 20"),
        hold=15 * MINUTE,
        summary="One in twenty of MLflow's requests takes over five seconds; jobs take longer and people wait.",
        panel="MLflow's latency",
    ),
    ticket(
        name="MlflowMemoryNearLimit",
        expr=f"histogram_quantile(0.99, {distribution('container_memory_utilizations')}) > 0.9",
        hold=15 * MINUTE,
        summary="MLflow uses more than 90 % of its memory and will be killed at the limit, with what jobs send it.",
        panel="MLflow's memory",
    ),
)


DISK_USED = f"max(avg_over_time(cloudsql_googleapis_com:database_disk_bytes_used{{{DATABASE}}}[15m]))"


def alerts(database_connections: int, database_disk_bytes: int) -> tuple[Alert, ...]:
    """All alerts; the database takes so many connections, and its disk grows up to so many bytes by itself."""
    return (
        *SERVER,
        ticket(
            name="DatabaseDown",
            expr=(
                f'max(max_over_time(cloudsql_googleapis_com:database_instance_state{{{DATABASE},state="RUNNING"}}[5m]))'
                " == 0"
            ),
            hold=10 * MINUTE,
            summary="MLflow's database is not running: no run can be recorded or read.",
            panel="The database runs",
        ),
        ticket(
            name="DatabaseConnectionsNearLimit",
            expr=(
                f"sum(cloudsql_googleapis_com:database_postgresql_num_backends{{{DATABASE}}})"
                f" > {round(0.8 * database_connections)}"
            ),
            hold=10 * MINUTE,
            summary="Four fifths of the database's connections are taken; when all are, MLflow fails.",
            panel="The database's connections",
        ),
        ticket(
            name="DatabaseCpuHigh",
            expr=f"{database('cpu', 30)} > 0.9",
            hold=15 * MINUTE,
            summary="MLflow's database has used more than 90 % of its CPU for most of an hour and slows every job.",
            panel="The database's machine",
        ),
        ticket(
            name="DatabaseMemoryHigh",
            expr=f"{database('memory', 30)} > 0.92",
            hold=15 * MINUTE,
            summary="MLflow's database uses more than 92 % of its memory; at its end all connections break.",
            panel="The database's machine",
        ),
        ticket(
            name="DatabaseDiskNearlyFull",
            # Not a share of the disk: that grows when it is nearly full, so the share is always high.
            expr=f"{DISK_USED} > {round(0.85 * database_disk_bytes)}",
            hold=30 * MINUTE,
            summary="The database holds 85 % of what its disk may grow to; at that limit MLflow stops.",
            panel="The database's disk",
        ),
    )
