"""What an environment's monitoring consists of, by the names that people and the heartbeat know it by."""

from collections.abc import Iterable

from infra.environment import Environment
from infra.sizing import DISK_LIMIT_GB
from monitoring import catalogue
from monitoring.platform import Job, Platform


def platform(env: Environment, scheduled: Iterable[Job]) -> Platform:
    """The environment as alerts see it."""
    return Platform(
        jobs=tuple(scheduled),
        database_connections=env.database_connections,
        database_disk_bytes=DISK_LIMIT_GB * 10**9,
        leads_per_day=env.leads_per_day,
        leads_per_request=env.leads_per_request,
        probes=env.probe,
    )


def policies(env: Environment, scheduled: Iterable[Job]) -> tuple[str, ...]:
    """The display names of the policies that must be there, one for each alert."""
    return tuple(f"{alert.name} ({env.id})" for alert in catalogue.alerts(platform(env, scheduled)))


def channels(env: Environment) -> tuple[str, ...]:
    """The display names of the notification channels that must be there."""
    names = ["tickets", "costs"]
    names += ["pages", "pages by mail"] if env.pages else []
    names += ["weekly report"] if env.report_email else []
    return tuple(f"Lead scoring {name} ({env.id})" for name in names)
