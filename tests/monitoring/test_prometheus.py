"""The rule file."""

import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from monitoring import catalogue, prometheus
from monitoring.alerts import Alert, Severity

ALERT = Alert(
    name="SpoolFull",
    expr='spool_bytes{disk="a: b # c"} > 1\nand\n  on() up == 1',
    hold=timedelta(minutes=5),
    severity=Severity.TICKET,
    summary="Records of scored leads: soon lost.",
    runbook="spool.md",
    panel="Spool",
)


def test_a_rule_says_what_the_alert_says() -> None:
    (group,) = yaml.safe_load(prometheus.rules([ALERT]))["groups"]
    assert group["rules"] == [
        {
            "alert": "SpoolFull",
            "expr": ALERT.expr,
            "for": "5m",
            "labels": {"severity": "ticket"},
            "annotations": {"summary": ALERT.summary, "runbook": "spool.md"},
        }
    ]


def test_every_expression_of_the_catalogue_is_kept_byte_for_byte() -> None:
    (group,) = yaml.safe_load(prometheus.rules(catalogue.alerts()))["groups"]
    assert [rule["expr"] for rule in group["rules"]] == [alert.expr for alert in catalogue.alerts()]


def test_the_module_prints_the_rule_file() -> None:
    command = [sys.executable, "-m", "monitoring.prometheus"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed == prometheus.rules(catalogue.alerts())


@pytest.mark.system
@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool: scripts/install-system brings it")
def test_promtool_takes_the_rule_file(tmp_path: Path) -> None:
    rule_file = tmp_path / "rules.yaml"
    rule_file.write_text(prometheus.rules([ALERT, *catalogue.alerts()]))
    check = subprocess.run(["promtool", "check", "rules", rule_file], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr


def written(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, dict[str, str]]:
    assert prometheus.main(list(options)) == 0
    (group,) = yaml.safe_load(capsys.readouterr().out)["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def test_the_command_writes_the_whole_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    assert {name: rule["expr"] for name, rule in written(capsys).items()} == {
        alert.name: alert.expr for alert in catalogue.alerts()
    }


def test_what_reads_googles_metrics_may_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    found = written(capsys, "--without-google")
    assert {"ServiceMetricsAbsent", "ScoringLatencyBurnFast", "PodMetricsAbsent"} <= found.keys()
    assert not {"FrontDoorFailsBeforePods", "DatabaseDown", "ScoringMemoryNearLimit"} & found.keys()


def test_jobs_and_a_faster_clock_may_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    found = written(capsys, "--job", "drift=*/30 * * * *=10", "--faster", "60")
    assert "EvaluateLate" not in found
    assert "2400" not in found["DriftLate"]["expr"]
    assert "40" in found["DriftLate"]["expr"]
    assert found["DriftLate"]["for"] == "10s"


@pytest.mark.parametrize("job", ["drift", "drift=every day=10", "drift=0 5 * * *=ten"])
def test_a_job_that_cannot_be_is_named(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        prometheus.main(["--job", job])
    assert "give NAME=CRON=MINUTES" in capsys.readouterr().err
