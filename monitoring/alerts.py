"""What an alert is. Renderers turn it into Cloud Monitoring policies and Prometheus rules."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Severity(StrEnum):
    """What an alert asks of a person."""

    PAGE = "page"  # act now, whatever the hour
    TICKET = "ticket"  # act within working hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A condition that a person must hear of."""

    name: str  # CamelCase sentence of what is wrong
    expr: str  # self-contained PromQL: Cloud Monitoring has no recording rules
    hold: timedelta  # how long expr must be true before the alert fires
    severity: Severity
    summary: str  # one sentence: what is wrong, for whom
    runbook: str  # file name below monitoring/runbooks/
    panel: str  # title of the dashboard panel that shows it
