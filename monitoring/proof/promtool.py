"""Runs cases through Prometheus' own unit-test tool.

https://prometheus.io/docs/prometheus/2.42/configuration/unit_testing_rules/
"""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from monitoring import prometheus
from monitoring.alerts import Alert
from monitoring.promql import duration
from monitoring.proof.cases import MINUTE, Case, Firing

AT_ONCE = 2  # processes


@dataclass(frozen=True, slots=True)
class Batch:
    """Alerts, and cases that say how each of them behaves; a mutant is expected to behave as what it was made of."""

    alerts: Sequence[Alert]
    cases: Sequence[Case]

    def expected(self, alert: Alert, case: Case) -> Firing | None:
        """When it fires in the case; a mutant is called `<alert>__<number>`."""
        return case.fires.get(alert.name.split("__")[0])


def find() -> str:
    """The tool. Raises FileNotFoundError where there is none."""
    if not (promtool := shutil.which("promtool")):
        raise FileNotFoundError("no promtool on PATH: scripts/install-system installs it (Debian package prometheus)")
    return promtool


def unit_test(batch: Batch, case: Case) -> dict[str, object]:
    """The case as a test group: when each alert first fires, when last, and in how many series and steps in all."""
    end = MINUTE * case.lasts + MINUTE * case.history
    return {
        "name": case.story,
        "interval": duration(case.step),
        "input_series": [
            {"series": s.selector, "values": s.samples(MINUTE * case.history, MINUTE * case.lasts, case.step)}
            for s in case.series
        ],
        "promql_expr_test": [
            {"expr": expr, "eval_time": duration(end), "exp_samples": _sample(value)}
            for alert in batch.alerts
            for expr, value in _measures(alert, case, batch.expected(alert, case))
        ],
    }


def _measures(alert: Alert, case: Case, firing: Firing | None) -> Iterable[tuple[str, float | None]]:
    span = f"[{duration(MINUTE * (case.history + case.lasts - case.settling) + case.step)}:{duration(case.step)}]"
    fired = f'count(ALERTS{{alertname="{alert.name}",alertstate="firing"}})'
    steps = first = last = None
    if firing:
        step = int(case.step.total_seconds())
        first = (case.history + firing.after) * 60
        # It is watched to the end, and no further.
        last = min((case.history + firing.until) * 60 - step, (case.history + case.lasts) * 60)
        steps = ((last - first) // step + 1) * firing.instances
    yield f"min_over_time(({fired} * 0 + time()){span})", first
    yield f"max_over_time(({fired} * 0 + time()){span})", last
    yield f"sum_over_time({fired}{span})", steps


def _sample(value: float | None) -> list[dict[str, object]]:
    return [] if value is None else [{"labels": "{}", "value": value}]


def failures(batches: Iterable[Batch]) -> str:
    """What promtool found to be other than the cases say; empty when all is as they say."""
    promtool = find()
    runs = [
        Batch(batch.alerts, list(cases))
        for batch in batches
        for _, cases in groupby(sorted(batch.cases, key=lambda case: case.step), key=lambda case: case.step)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return "".join(pool.map(lambda batch: _run(promtool, batch), runs))


def _run(promtool: str, batch: Batch) -> str:
    with tempfile.TemporaryDirectory(prefix="alert-proof-") as folder:
        Path(folder, "rules.yaml").write_text(prometheus.rules(batch.alerts))
        test_file = Path(folder, "cases.yaml")
        test_file.write_text(  # JSON is YAML
            json.dumps(
                {
                    "rule_files": ["rules.yaml"],
                    "evaluation_interval": duration(batch.cases[0].step),
                    "tests": [unit_test(batch, case) for case in batch.cases],
                }
            )
        )
        run = subprocess.run([promtool, "test", "rules", test_file], capture_output=True, text=True, timeout=600)
    if run.returncode == 0:
        return ""
    if not (report := named(run.stdout + run.stderr)):
        raise ValueError(f"promtool could not run {batch.cases[0].story!r}:\n{run.stdout}{run.stderr}")
    return run.stdout + run.stderr if report else ""


def named(report: str) -> set[str]:
    """The alerts that a report is about."""
    return set(re.findall(r'alertname=\\?"(\w+)', report))
