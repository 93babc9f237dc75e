"""What the catalogue must know of an environment: its jobs, its traffic, how many connections its database takes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise

from cronsim import CronSim

HOUR = timedelta(hours=1)
LEAST_LOOKBACK = 25 * HOUR
_RUNS_LOOKED_AT = 1_000  # of a daily job nearly three years: the longest gap of any line that a person writes


@dataclass(frozen=True, slots=True)
class Job:
    """A scheduled job: when its cron line starts it (UTC), and how long one attempt may take."""

    name: str
    schedule: str
    timeout: timedelta

    @property
    def gap(self) -> timedelta:
        """The longest time between two starts. Raises cronsim.CronSimError for what is no cron line."""
        return _longest_gap(self.schedule)

    @property
    def deadline(self) -> timedelta:
        """How old the last success may be: the next start's success is due then."""
        return self.gap + self.timeout

    @property
    def lookback(self) -> timedelta:
        """How far back a run's figures are read: until the next run should have ended, so that no ticket on them closes
        before. At least 25 hours, within which Cloud Monitoring evaluates every minute."""
        return max(LEAST_LOOKBACK, self.deadline)


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """An environment as alerts see it. The defaults are those of an environment that says nothing else."""

    jobs: tuple[Job, ...] = (
        Job("evaluate", "0 5 * * *", 1 * HOUR),
        Job("drift", "0 6 * * *", 1 * HOUR),
        Job("retrain", "0 7 * * 1", 6 * HOUR),
        Job("batch", "0 3 * * *", 2 * HOUR),
        Job("compact", "20 * * * *", 1 * HOUR),
        Job("report", "0 14 * * 1", 1 * HOUR),
    )
    probes: bool = True  # whether the job `probe` asks for a score every five minutes
    database_connections: int = 100  # that the database takes, max_connections
    database_disk_bytes: int = 200_000_000_000  # that its disk grows to at most: infra/sizing.py
    leads_per_day: int = 600_000  # declared by the environment
    leads_per_request: int = 1

    @property
    def requests_per_day(self) -> float:
        """Requests for scores, as declared."""
        return self.leads_per_day / self.leads_per_request


def enough(per_day: float, within: timedelta, most: int) -> int:
    """How many events an alert on a share of them needs: half of the window's mean, at most `most`.

    At least 200: one in a hundred is then two events, and the uptime checks' own 180 requests in half an hour are not
    enough. With less traffic the alert waits for busy hours.
    """
    return max(200, min(most, round(per_day * (within / timedelta(days=1)) / 2)))


@cache  # each build of the alerts asks for the gaps of the same few lines many times
def _longest_gap(schedule: str) -> timedelta:
    starts = islice(CronSim(schedule, datetime(2026, 1, 1, tzinfo=UTC)), _RUNS_LOOKED_AT)
    return max(later - earlier for earlier, later in pairwise(starts))
