"""What a notification says, and that Cloud Monitoring takes it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from monitoring import catalogue
from monitoring.alerts import Alert, Severity
from monitoring.dashboards import dashboards
from monitoring.limits import LimitExceeded
from monitoring.review.notification import LABELS, REMINDER, VALUE, Notification, notification

URL = "https://acme.example/runbooks"
SPOOL = Alert(
    name="SpoolFull",
    expr="sum by (pod) (spool_bytes) > 128000000",
    hold=timedelta(minutes=5),
    severity=Severity.PAGE,
    summary="Records wait.",
    runbook="records.md",
    panel="Spool",
)


def told(alert: Alert, url: str = URL) -> Notification:
    return notification(alert, dashboards(), environment="prod", project="acme-prod", runbooks_url=url)


def test_it_says_where_how_much_beyond_what_limit_and_where_to_look() -> None:
    (alert,) = (alert for alert in catalogue.alerts() if alert.name == "SpoolFillsUp")
    made = told(alert)
    assert made.subject == "[prod] SpoolFillsUp"
    assert made.dashboard is not None
    for part in (alert.summary, LABELS, VALUE, f"{URL}/records.md", made.dashboard.title, alert.panel, "acme-prod"):
        assert part in made.content
    assert "is above 128,000,000" in told(SPOOL).content
    assert ", for 5m" in told(SPOOL).content


def test_every_alert_has_a_notification_within_the_limits_and_a_dashboard() -> None:
    made = [told(alert) for alert in catalogue.alerts()]
    assert all(each.dashboard for each in made)
    assert all("(none)" not in each.content for each in made)


@pytest.mark.parametrize(
    ("alert", "url", "said"),
    [
        (replace(SPOOL, summary="x" * 8_000), URL, "8,192 characters"),
        (replace(SPOOL, summary="ä" * 6_000), URL, "10,240"),
        (replace(SPOOL, name="S" * 250), URL, "255 bytes"),
        (SPOOL, f"https://acme.example/{'x' * 2_100}", "2,083"),
    ],
)
def test_a_notification_that_would_be_refused_or_cut_off_is_refused_by_the_alerts_name(
    alert: Alert, url: str, said: str
) -> None:
    with pytest.raises(LimitExceeded, match=said) as refused:
        told(alert, url)
    assert str(refused.value).startswith(alert.name)


def test_a_reminder_comes_within_what_cloud_monitoring_takes() -> None:
    assert timedelta(minutes=30) <= REMINDER <= timedelta(hours=24)
