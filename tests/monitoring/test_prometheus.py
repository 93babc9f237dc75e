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
