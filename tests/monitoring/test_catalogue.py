"""The catalogue as a whole."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

import monitoring
from monitoring import catalogue
from monitoring.alerts import Alert, Severity
from monitoring.promql import duration, metric_names, number
from monitoring.slos import Slo

RUNBOOKS = Path(monitoring.__file__).parent / "runbooks"
CHAPTERS = ["What it means", "Who suffers", "Look first", "Stop the bleeding", "Fix", "Verify", "Escalate"]
ALERTS = catalogue.alerts()
SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}

each_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


def test_no_two_alerts_share_a_name() -> None:
    assert len({alert.name for alert in ALERTS}) == len(ALERTS)


@each_alert
def test_a_name_is_a_camel_case_sentence(alert: Alert) -> None:
    assert re.fullmatch(r"(?:[A-Z][a-z0-9]+){2,}", alert.name)


@each_alert
def test_a_runbook_has_the_fixed_chapters_and_names_its_alert(alert: Alert) -> None:
    text = (RUNBOOKS / alert.runbook).read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == CHAPTERS
    assert alert.name in text


@pytest.mark.parametrize("slo", catalogue.SLOS, ids=lambda slo: slo.name)
def test_a_runbook_states_the_thresholds_that_are_in_force(slo: Slo) -> None:
    text = (RUNBOOKS / slo.runbook).read_text()
    for window in slo.windows:
        long, short = (
            re.sub(r"(\d)([a-z])", r"\1 \2", duration(span)).replace(" m", " min")
            for span in (window.long, window.short)
        )
        assert f"over {number(slo.threshold(window) * 100)} % in {long} and in {short}" in text


@each_alert
def test_a_runbook_speaks_of_the_metrics_that_its_alert_reads(alert: Alert) -> None:
    text = (RUNBOOKS / alert.runbook).read_text()
    assert metric_names(alert.expr) <= set(re.findall(r"\bleadscoring_\w+", text))


@pytest.mark.parametrize(
    "alert", [alert for alert in ALERTS if alert.severity is Severity.PAGE], ids=lambda alert: alert.name
)
def test_no_page_looks_back_further_than_cloud_monitoring_surely_can(alert: Alert) -> None:
    # 25 h: https://docs.cloud.google.com/monitoring/alerts/using-promql
    spans = re.findall(r"(?:\[|offset )(\d+)([dhms])", alert.expr)
    assert spans
    assert max(int(count) * SECONDS[unit] for count, unit in spans) <= timedelta(hours=25).total_seconds()


def test_metrics_of_the_service_are_read() -> None:
    assert catalogue.metric_names() == {"leadscoring_requests_total"}
