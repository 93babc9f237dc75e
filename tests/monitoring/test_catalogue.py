"""The catalogue as a whole."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import monitoring
from infra.environment import Environment
from infra.environments import ENVIRONMENTS
from infra.sizing import DISK_LIMIT_GB
from monitoring import catalogue
from monitoring.alerts import Alert, Severity
from monitoring.catalogue import compaction, model, promises, quality, records
from monitoring.platform import Job, Platform
from monitoring.promql.text import duration, metric_names, number
from monitoring.slos import Ratio, Slo
from service.lifecycle.promotion.gate import Rules
from service.settings import Settings

RUNBOOKS = Path(monitoring.__file__).parent / "runbooks"
CHAPTERS = ["What it means", "Who suffers", "Look first", "Stop the bleeding", "Fix", "Verify", "Escalate"]
ALERTS = catalogue.alerts()
SLOS = promises.slos(Platform())

each_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


def test_no_two_alerts_share_a_name() -> None:
    assert len({alert.name for alert in ALERTS}) == len(ALERTS)


@each_alert
def test_an_alert_says_in_one_sentence_what_is_wrong_and_where_to_look(alert: Alert) -> None:
    assert re.fullmatch(r"(?:[A-Z][a-z0-9]+){2,}", alert.name)
    assert re.fullmatch(r"[A-Z][^.]+(?:\.\d[^.]*)*\.", alert.summary), alert.summary
    assert alert.panel
    assert alert.hold % timedelta(minutes=1) == timedelta(0)


@each_alert
def test_a_runbook_has_the_fixed_chapters_and_names_its_alert(alert: Alert) -> None:
    text = (RUNBOOKS / alert.runbook).read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == CHAPTERS
    ends = "|".join(re.findall(r"\.\.\.(\w+)", text)) or "-"
    assert alert.name in text or re.search(rf"(?:{ends})$", alert.name)


def test_every_runbook_belongs_to_an_alert_but_the_one_that_all_begin_with() -> None:
    of_all = "incidents.md"
    assert {path.name for path in RUNBOOKS.iterdir()} == {of_all, *(alert.runbook for alert in ALERTS)}
    for runbook in {alert.runbook for alert in ALERTS}:
        before, _, rest = (RUNBOOKS / runbook).read_text().partition("\n## ")
        assert of_all in before, runbook
        assert "`scripts/alerts env ENV`" in before, runbook
        assert of_all in rest.partition("## Escalate")[2], runbook


@pytest.mark.parametrize("slo", SLOS, ids=lambda slo: slo.name)
def test_cloud_monitorings_own_slo_counts_what_the_expressions_count(slo: Slo) -> None:
    def labels(text: str) -> set[tuple[str, str]]:
        """Names and values that a filter or an expression asks for."""
        return set(re.findall(r'(\w+)"?(?:=~?|=monitoring\.regex\.full_match\()"([^"]+)"', text)) - {("le", "0.25")}

    if isinstance(slo.counted, Ratio):
        pairs = [(slo.counted.bad, slo.bad), (slo.counted.total, slo.total)]
    else:
        pairs = [(slo.counted.of, slo.bad)] if slo.counted else []
        assert f'le="{slo.counted.most}"' in slo.bad if slo.counted else slo.windows == promises.STEADY
    for filter_, expr in pairs:
        kept = {(name, value) for name, value in labels(filter_) if name != "type"}
        assert kept == {each for each in labels(expr) if each[0] != "monitored_resource"}
        (metric,) = {name for name in metric_names(expr) if not name.endswith("_bucket")}
        assert metric.removesuffix("_count").rpartition(":")[2] in filter_


@pytest.mark.parametrize("slo", SLOS, ids=lambda slo: slo.name)
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
    named = set(re.findall(r"\b(?:leadscoring_\w+|kube_\w+|\w+_(?:googleapis_com|io):\w+)", text))
    assert metric_names(alert.expr) <= named


@pytest.mark.parametrize("runbook", sorted(RUNBOOKS.iterdir()), ids=lambda path: path.name)
def test_what_a_runbook_points_to_is_there(runbook: Path) -> None:
    text = runbook.read_text()
    for other in re.findall(r"\b([a-z-]+\.md)\b", text):
        assert (RUNBOOKS / other).is_file(), other
    for field in re.findall(r"`Environment\.(\w+)`", text):
        assert field in Environment.model_fields, field
    for script in re.findall(r"`(scripts/\w+)`", text):
        assert (RUNBOOKS.parents[1] / script).is_file(), script
    for alert in re.findall(r"`([A-Z][a-z]+[A-Z][A-Za-z]+)`", text):
        if not alert.startswith(("Burn", "Budget", "Failed", "Image")):
            assert alert in {each.name for each in ALERTS}, alert


def test_an_environment_that_says_nothing_else_has_the_default_jobs_and_database() -> None:
    fields = Environment.model_fields
    assert {job.name: job.schedule for job in Platform().jobs} == {
        name.removesuffix("_schedule"): fields[name].default for name in fields if name.endswith("_schedule")
    }
    assert Platform().database_connections == fields["database_connections"].default
    assert Platform().database_disk_bytes == DISK_LIMIT_GB * 10**9
    assert Platform().leads_per_request == fields["leads_per_request"].default
    # The simulated days have more traffic than that; the alerts are the same.
    declared = replace(Platform(), leads_per_day=fields["leads_per_day"].default)
    assert catalogue.alerts(declared) == catalogue.alerts(Platform())


def test_every_job_has_its_four_alerts_and_a_deadline_from_its_cron_line() -> None:
    hourly = catalogue.alerts(Platform(jobs=(Job("evaluate", "30 * * * *", timedelta(minutes=20)),)))
    late = {alert.name: alert for alert in hourly}["EvaluateLate"]
    assert "[80m]" in late.expr
    assert "time() - 4800" in late.expr
    assert {alert.name for alert in ALERTS} - {alert.name for alert in hourly} == {
        *(
            f"{job}{what}"
            for job in ("Drift", "Retrain", "Batch", "Compact", "Report")
            for what in ("Late", "Failing", "Overrunning", "NearTimeout")
        ),
        "DriftOnTimeBurnSteady",
        "DriftOnTimeBudgetHalfSpent",
        "DriftOnTimeBudgetSpent",
        "RecordsNotCompacted",
        "RecordsUnreadable",
    }


@pytest.mark.parametrize(("line", "hours", "back"), [("20 * * * *", 6, "25h"), ("20 2 * * *", 29, "58h")])
def test_records_may_wait_four_hours_longer_than_the_cron_line_lets_them(line: str, hours: int, back: str) -> None:
    (alert, _) = compaction.alerts([Job("compact", line, timedelta(hours=1))])
    assert alert.expr.endswith(f" > {hours * 3600}")
    assert f"[{back}]" in alert.expr


@pytest.mark.parametrize(
    ("leads_per_day", "leads_per_request", "requests", "leads"),
    [
        (600_000, 1, (500, 1_000), ">= 500"),
        (30_000, 1, (312, 312), ">= 500"),
        (300_000, 30, (200, 200), ">= 500"),
        (10, 1, (200, 200), "[1d])) > 2.5"),
    ],
)
def test_an_alert_on_a_share_asks_for_half_of_the_declared_traffic(
    leads_per_day: int, leads_per_request: int, requests: tuple[int, int], leads: str
) -> None:
    platform = Platform(leads_per_day=leads_per_day, leads_per_request=leads_per_request)
    found = {alert.name: alert.expr for alert in catalogue.alerts(platform)}
    assert found["FrontDoorSlow"].endswith(f">= {requests[0]}")
    assert found["PodsUnknownToLoadBalancer"].endswith(f"> {requests[1]}")
    assert found["RecordsNotWritten"].endswith(leads)


@pytest.mark.parametrize(
    ("line", "gap"),
    [("0 5 * * *", 24), ("0 7 * * 1", 168), ("0 6 * * 1-5", 72), ("0 8,20 * * *", 12), ("0 0 1 * *", 31 * 24)],
)
def test_the_longest_gap_of_a_cron_line_counts(line: str, gap: int) -> None:
    assert Job("any", line, timedelta(hours=1)).gap == timedelta(hours=gap)


@pytest.mark.parametrize(
    ("line", "back"), [("20 * * * *", "25h"), ("0 5 * * *", "25h"), ("0 5 * * 1", "169h"), ("0 5 1 * *", "745h")]
)
def test_figures_of_a_run_are_read_until_the_next_run_should_have_ended(line: str, back: str) -> None:
    found = {a.name: a.expr for a in catalogue.alerts(Platform(jobs=(Job("evaluate", line, timedelta(hours=1)),)))}
    for name in ("EvaluateFailing", "EvaluateOverrunning", "EvaluateNearTimeout", "TooFewOutcomes", "ModelTooOld"):
        assert set(re.findall(r"\[(\w+)\]", found[name])) == {back}, name
    assert "[25h]" in found["LeadsDrifted"]  # of a job that is not scheduled


def test_a_calibration_is_far_off_where_the_gate_says_so() -> None:
    assert Rules().far_off == quality.FAR_OFF


def test_the_spool_is_full_at_what_the_service_takes() -> None:
    assert Settings.model_fields["spool_max_bytes"].default == records.SPOOL_BYTES


def test_the_oldest_model_is_older_than_a_missed_retraining() -> None:
    gaps = [job.gap for env in ENVIRONMENTS.values() for job in [Job("retrain", env.retrain_schedule, timedelta(0))]]
    assert 2 * max(gaps) < model.OLDEST_MODEL


def test_only_what_harms_callers_now_wakes_anybody() -> None:
    assert {alert.name for alert in ALERTS if alert.severity is Severity.PAGE} == {
        "ScoringAvailabilityBurnFast",
        "ScoringAvailabilityBurnSlow",
        "ScoringLatencyBurnFast",
        "ScoringLatencyBurnSlow",
        "ScoringPodsHalfGone",
        "FrontDoorDown",
        "FrontDoorFailsBeforePods",
        "CallersRefusedByPods",
        "CallersRefusedAtFrontDoor",
        "NobodyIsScored",
        "SpoolFillsUp",
        "ServiceMetricsAbsent",
    }
