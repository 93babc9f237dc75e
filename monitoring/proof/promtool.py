"""Runs cases through Prometheus' own unit-test tool.

https://prometheus.io/docs/prometheus/2.42/configuration/unit_testing_rules/
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from monitoring import prometheus
from monitoring.alerts import Alert
from monitoring.promql import duration
from monitoring.proof.cases import STEP, Case


def unit_test(alerts: Sequence[Alert], case: Case) -> dict[str, object]:
    """The case as a promtool test group: at every step each alert fires or is silent, as the case says.

    Raises ValueError when the case names an alert that is not among them.
    """
    if unknown := case.fires.keys() - {alert.name for alert in alerts}:
        raise ValueError(f"case {case.story!r}: no alert is called {', '.join(sorted(unknown))}")
    steps = range((case.fault + case.lasts) // STEP + 1)
    return {
        "name": case.story,
        "interval": duration(STEP),
        "input_series": [{"series": s, "values": v} for s, v in case.series.items()],
        "alert_rule_test": [
            {
                "alertname": alert.name,
                "eval_time": duration(step * STEP),
                "exp_alerts": [_fired(alert)] if _fires(case, alert, step) else [],
            }
            for alert in alerts
            for step in steps
        ],
    }


def failures(alerts: Sequence[Alert], cases: Iterable[Case]) -> str:
    """What promtool found to be other than the cases say; empty when all is as they say.

    Raises FileNotFoundError when there is no promtool.
    """
    if not (promtool := shutil.which("promtool")):
        raise FileNotFoundError("no promtool on PATH: scripts/install-system installs it (Debian package prometheus)")
    with tempfile.TemporaryDirectory(prefix="alert-proof-") as folder:
        Path(folder, "rules.yaml").write_text(prometheus.rules(alerts))
        test_file = Path(folder, "cases.yaml")
        test_file.write_text(  # JSON is YAML
            json.dumps(
                {
                    "rule_files": ["rules.yaml"],
                    "evaluation_interval": duration(STEP),
                    "tests": [unit_test(alerts, case) for case in cases],
                }
            )
        )
        run = subprocess.run([promtool, "test", "rules", test_file], capture_output=True, text=True)
    return "" if run.returncode == 0 else run.stdout + run.stderr


def _fires(case: Case, alert: Alert, step: int) -> bool:
    firing = case.fires.get(alert.name)
    return firing is not None and firing.after <= step * STEP - case.fault < firing.until


def _fired(alert: Alert) -> dict[str, dict[str, str]]:
    return {
        "exp_labels": {"severity": alert.severity.value},
        "exp_annotations": {"summary": alert.summary, "runbook": alert.runbook},
    }
