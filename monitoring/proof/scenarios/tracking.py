"""Stories of MLflow and its database."""

from monitoring.proof.cases import Case, Firing, Series, counter, fires, gauge, stays_silent

REVISION = 'monitored_resource="cloud_run_revision"'
DATABASE = 'monitored_resource="cloudsql_database"'


def requests(status: str, before: float, *after: tuple[int, float]) -> Series:
    """MLflow's answers a minute."""
    return counter(f'run_googleapis_com:request_count{{{REVISION},response_code_class="{status}"}}', before, *after)


def buckets(name: str, a_minute: float, above: dict[str, float]) -> tuple[Series, ...]:
    """Samples a minute, of which so many are above each bound for an hour; before, none is."""
    return tuple(
        counter(
            f'run_googleapis_com:{name}_bucket{{{REVISION},le="{le}"}}', a_minute, (60, a_minute - more), (1, a_minute)
        )
        for le, more in {**above, "+Inf": 0.0}.items()
    )


def running(*after: tuple[int, int]) -> Series:
    """Whether the database runs."""
    return gauge(f'cloudsql_googleapis_com:database_instance_state{{{DATABASE},state="RUNNING"}}', 1, *after)


def connections(database: str, before: int, *after: tuple[int, int]) -> Series:
    """Connections to one of its databases."""
    return gauge(
        f'cloudsql_googleapis_com:database_postgresql_num_backends{{{DATABASE},database="{database}"}}', before, *after
    )


def disk(before: float, *after: tuple[int, float]) -> Series:
    """Bytes that the database holds."""
    return gauge(f"cloudsql_googleapis_com:database_disk_bytes_used{{{DATABASE}}}", before, *after)


def machine(alert: str, name: str, near: float, bad: float, *, after: int, until: int) -> tuple[Case, Case]:
    """An hour and a half with a share that is too high, and with one that is not, but for a while."""
    metric = f"cloudsql_googleapis_com:database_{name}_utilization{{{DATABASE}}}"
    return (
        fires(alert, f"{name} at {bad}", gauge(metric, 0.5, (90, bad), (1, 0.5)), after=after, until=until),
        stays_silent(
            alert,
            f"{name} at {near}, and at 1 for ten minutes",
            gauge(metric, 0.5, (60, near), (10, 1), (1, 0.5)),
            lasts=150,
        ),
    )


CASES = (
    fires(
        "MlflowDown",
        "eight errors and nothing else",
        requests("5xx", 0, (8, 1), (1, 0)),
        requests("2xx", 0),
        after=12,
        until=34,
    ),
    stays_silent(
        "MlflowDown",
        "eight errors among good answers",
        requests("5xx", 0, (8, 1), (1, 0)),
        requests("2xx", 0, (60, 5)),
        lasts=60,
    ),
    stays_silent(
        "MlflowDown", "four errors and nothing else", requests("5xx", 0, (4, 1), (1, 0)), requests("2xx", 0), lasts=60
    ),
    fires(
        "MlflowDown",
        "good answers end, and errors come for an hour",
        requests("5xx", 0, (60, 1), (1, 0)),
        requests("2xx", 1, (60, 0), (1, 1)),
        after=36,
        until=62,
        lasts=120,
        others={
            "MlflowAvailabilityBurnSlow": Firing(after=11, until=89),
            "MlflowAvailabilityBurnSteady": Firing(after=11, until=121),
        },
    ),
    # The database runs, and lets MLflow in no more.
    fires(
        "MlflowDown",
        "a job's eight calls fail, for the database lets nobody in",
        running(),
        requests("5xx", 0, (8, 1), (1, 0)),
        requests("2xx", 0),
        after=12,
        until=34,
    ),
    fires(
        "MlflowAvailabilityBurnSlow",
        "jobs' calls fail, for the database lets nobody in, and people load the frames of pages",
        running(),
        requests("5xx", 0, (30, 1), (1, 0)),
        requests("2xx", 1),
        after=11,
        until=59,
        others={"MlflowAvailabilityBurnSteady": Firing(after=11, until=148)},
        lasts=200,
    ),
    fires(
        "MlflowSlow",
        "a tenth takes long",
        *buckets("request_latencies", 10, {"1000": 5, "5000": 1, "10000": 0}),
        requests("2xx", 10),
        after=32,
        until=76,
    ),
    fires(
        "MlflowSlow",
        "one a minute takes long",
        *buckets("request_latencies", 1, {"1000": 1, "5000": 1, "10000": 0}),
        requests("2xx", 1),
        after=18,
        until=90,
    ),
    stays_silent(
        "MlflowSlow",
        "a 25th takes long",
        *buckets("request_latencies", 100, {"1000": 50, "5000": 4, "10000": 0}),
        requests("2xx", 100),
        lasts=90,
    ),
    stays_silent(
        "MlflowSlow",
        "one every two minutes takes long",
        *buckets("request_latencies", 0.5, {"1000": 0.5, "5000": 0.5, "10000": 0}),
        requests("2xx", 0.5),
        lasts=90,
    ),
    fires(
        "MlflowMemoryNearLimit",
        "it is full",
        *buckets("container_memory_utilizations", 10, {"0.5": 10, "0.9": 2, "1": 0}),
        after=18,
        until=90,
    ),
    stays_silent(
        "MlflowMemoryNearLimit",
        "it is full once in 200",
        *buckets("container_memory_utilizations", 200, {"0.5": 200, "0.9": 1, "1": 0}),
        lasts=90,
    ),
    # 3 minutes late, five until no good sample is left in the window, ten of hold.
    fires("DatabaseDown", "the database stops", running((30, 0), (1, 1)), after=18, until=33),
    stays_silent("DatabaseDown", "the database restarts", running((14, 0), (1, 1)), lasts=60),
    fires(
        "DatabaseConnectionsNearLimit",
        "85 of 100 are taken",
        connections("mlflow", 40, (30, 50), (1, 40)),
        connections("postgres", 35),
        after=13,
        until=33,
    ),
    stays_silent(
        "DatabaseConnectionsNearLimit",
        "79 are taken, and 90 for ten minutes",
        connections("mlflow", 40, (30, 44), (10, 55), (1, 40)),
        connections("postgres", 35),
        lasts=60,
    ),
    *machine("DatabaseCpuHigh", "cpu", 0.89, 0.95, after=45, until=96),
    *machine("DatabaseMemoryHigh", "memory", 0.91, 0.95, after=46, until=95),
    fires("DatabaseDiskNearlyFull", "171 of 200 GB", disk(100e9, (90, 171e9), (1, 100e9)), after=48, until=93),
    # A disk of 100 GB that is 95 % full grows by itself.
    stays_silent(
        "DatabaseDiskNearlyFull",
        "the disk is full and grows, up to 169 of 200 GB",
        gauge(f"cloudsql_googleapis_com:database_disk_utilization{{{DATABASE}}}", 0.95),
        disk(95e9, (60, 169e9), (10, 195e9), (1, 100e9)),
        lasts=150,
    ),
)
