"""What a notification of Cloud Monitoring says, with its sizes checked before the API would refuse or cut it.

- N1 sizes: fields `documentation` of
  https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies
- N2 variables: https://cloud.google.com/monitoring/alerts/doc-variables. Which of them hold a PromQL condition's labels
  and value: `TranslatePromQLTemplateToDocumentVariables` in googlecloudsdk/command_lib/monitoring/util.py of gcloud,
  which turns `{{ $labels }}` and `{{ $value }}` into these two. A variable without a value is shown as "(none)".
- N3 reminders: `renotifyInterval` of NotificationChannelStrategy is between 30 minutes and 24 hours:
  https://pub.dev/documentation/googleapis/17.0.0/monitoring_v3/NotificationChannelStrategy/renotifyInterval.html
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from monitoring.alerts import Alert
from monitoring.dashboards.panel import Dashboard
from monitoring.limits import LimitExceeded
from monitoring.promql.conditions import conditions
from monitoring.promql.text import duration
from monitoring.review.explain import sentence

LABELS, VALUE = "${metric_or_resource.labels}", "${metric.label.value}"  # N2
REMINDER = timedelta(hours=24)  # a ticket is mailed again so often until it is closed; N3: the longest
CONSOLE = "https://console.cloud.google.com/monitoring"
MOST_CHARACTERS, MOST_BYTES, MOST_SUBJECT_BYTES, MOST_URL, MOST_LINK_NAME = 8_192, 10_240, 255, 2_083, 63  # N1


@dataclass(frozen=True, slots=True)
class Notification:
    """The text of one alert's notifications in one environment."""

    subject: str
    content: str  # Markdown
    runbook: str  # the address
    dashboard: Dashboard | None  # the one with the alert's panel


def notification(
    alert: Alert, dashboards: Iterable[Dashboard], *, environment: str, project: str, runbooks_url: str
) -> Notification:
    """What is sent when `alert` fires. Raises LimitExceeded, naming the alert and the limit."""
    board = next((each for each in dashboards if alert.panel in (panel.title for panel in each.panels)), None)
    runbook = f"{runbooks_url}/{alert.runbook}"
    compared = " and ".join(sentence(condition) for condition in conditions(alert))
    where = f"{board.title} ({environment}), panel {alert.panel}" if board else f"panel {alert.panel}"
    held = f", for {duration(alert.hold)}" if alert.hold else ""
    content = "\n\n".join(
        (
            alert.summary,
            f"- Where: {LABELS}\n"
            f"- Value: {VALUE} (what the expression returns)\n"
            f"- Fires when: {compared}{held}\n"
            f"- Runbook: {runbook}\n"
            f"- Dashboard: {where}, in {CONSOLE}/dashboards?project={project}",
            f"`scripts/alerts env {environment}` prints the variables that the runbook's commands use.",
        )
    )
    made = Notification(f"[{environment}] {alert.name}", content, runbook, board)
    for exceeded, limit in _limits(made):
        if exceeded:
            raise LimitExceeded(f"{alert.name}: {limit}")
    return made


def _limits(made: Notification) -> Iterator[tuple[bool, str]]:
    yield len(made.content) > MOST_CHARACTERS, f"its notification is longer than {MOST_CHARACTERS:,} characters (N1)"
    size = len(made.content.encode())
    yield size > MOST_BYTES, f"its notification has {size:,} bytes, more than {MOST_BYTES:,} (N1)"
    yield (
        len(made.subject.encode()) > MOST_SUBJECT_BYTES,
        f"its subject is longer than {MOST_SUBJECT_BYTES} bytes, and would be cut off (N1)",
    )
    yield len(made.runbook) > MOST_URL, f"the address of its runbook is longer than {MOST_URL:,} characters (N1)"
    name = made.dashboard.title if made.dashboard else ""
    yield len(name) > MOST_LINK_NAME, f"the name of its dashboard is longer than {MOST_LINK_NAME} characters (N1)"
