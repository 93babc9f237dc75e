"""Runs cases through Prometheus' own unit-test tool.

https://prometheus.io/docs/prometheus/2.42/configuration/unit_testing_rules/
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from monitoring import prometheus
from monitoring.alerts import Alert
from monitoring.promql.text import duration
from monitoring.proof.cases import MINUTE, Case, Firing

AT_ONCE = 2  # processes
CASES_EACH = 8
TIMEOUT_S = 1800
SAMPLES = 4000
"""Beyond 10,000 the tool gives up a query; a change that loses its labels may fire in several series."""
_OTHERWISE = re.compile(r'alertname=~\\"([\w|]+)\\".*\n\s+exp: .*\n\s+got: *(.*)')
GO_RUNTIME = {"GOMAXPROCS": "1", "GOGC": "800"}
"""Takes a quarter of promtool's processor time off, for 250 MB a process: https://pkg.go.dev/runtime#hdr-Environment_Variables"""


@dataclass(frozen=True, slots=True)
class Batch:
    """Alerts, and cases of one step that say how each of them behaves."""

    alerts: Sequence[Alert]
    cases: Sequence[Case]


def find() -> str:
    """The tool. Raises FileNotFoundError where there is none."""
    if not (promtool := shutil.which("promtool")):
        raise FileNotFoundError("no promtool on PATH: scripts/install-system installs it (Debian package prometheus)")
    return promtool


def unit_test(batch: Batch, case: Case) -> dict[str, object]:
    """The case as a test group: when each alert first fires, when last, and in how many series and steps in all."""
    return _group(
        case,
        [
            (expr, _sample(value))
            for alert in batch.alerts
            for expr, value in _measures(alert, case, case.fires.get(alert.name))
        ],
    )


def _group(case: Case, expected: Iterable[tuple[str, list[dict[str, object]]]]) -> dict[str, object]:
    end = MINUTE * case.lasts + MINUTE * case.history
    return {
        "name": case.story,
        "interval": duration(case.step),
        "input_series": [
            {"series": s.selector, "values": s.samples(MINUTE * case.history, MINUTE * case.lasts, case.step)}
            for s in case.series
        ],
        "promql_expr_test": [
            {"expr": expr, "eval_time": duration(end), "exp_samples": samples} for expr, samples in expected
        ],
    }


def _span(case: Case) -> str:
    return f"[{duration(MINUTE * (case.history + case.lasts - case.settling) + case.step)}:{duration(case.step)}]"


def _times(case: Case, firing: Firing) -> range:
    """The seconds at which it fires. It is watched to the end, and no further."""
    step = int(case.step.total_seconds())
    last = min((case.history + firing.until) * 60 - step, (case.history + case.lasts) * 60)
    return range((case.history + firing.after) * 60, last + 1, step)


def _measures(alert: Alert, case: Case, firing: Firing | None) -> Iterable[tuple[str, float | None]]:
    fired = f'count(ALERTS{{alertname="{alert.name}",alertstate="firing"}})'
    times = _times(case, firing) if firing else None
    yield f"min_over_time(({fired} * 0 + time()){_span(case)})", times[0] if times else None
    yield f"max_over_time(({fired} * 0 + time()){_span(case)})", times[-1] if times else None
    yield f"sum_over_time({fired}{_span(case)})", len(times) * firing.instances if times and firing else None


def noticed(mutants: Sequence[Alert], name: str, case: Case) -> set[str]:
    """Which of these changes of an alert fire otherwise in a case than it does.

    When one fires is told by one number: the squares of the seconds at which it does, in all its series.
    """
    firing = case.fires.get(name)
    square = float(sum(at * at for at in _times(case, firing)) * firing.instances) if firing else None
    at_once = max(SAMPLES // (MINUTE * (case.history + case.lasts) // case.step + 1), 1)
    asked = [
        (_squares(some, case), [] if square is None else [_squared(mutant, square) for mutant in some])
        for some in (mutants[first : first + at_once] for first in range(0, len(mutants), at_once))
    ]
    report = _tested(find(), mutants, case.step, [_group(case, asked)])
    if refused := set(re.findall(r"rule: (\w+), time: ", report)):  # the engine evaluates none after it
        return refused | noticed([mutant for mutant in mutants if mutant.name not in refused], name, case)
    found: set[str] = set()
    for names, got in (answers := _OTHERWISE.findall(report)):
        values = {mutant: float(value) for mutant, value in re.findall(r'\{alertname="(\w+)"\} ([^,\s]+)', got)}
        found |= {mutant for mutant in names.split("|") if values.get(mutant) != square}
    if report and not answers:
        raise ValueError(f"promtool could not run {case.story!r}:\n{report}")
    return found


def _squares(mutants: Sequence[Alert], case: Case) -> str:
    names = "|".join(mutant.name for mutant in mutants)
    firing = f'count by (alertname) (ALERTS{{alertname=~"{names}",alertstate="firing"}}) * time() * time()'
    return f"sum_over_time(({firing}){_span(case)})"


def _squared(mutant: Alert, square: float) -> dict[str, object]:
    return {"labels": f'{{alertname="{mutant.name}"}}', "value": square}


def _sample(value: float | None) -> list[dict[str, object]]:
    return [] if value is None else [{"labels": "{}", "value": value}]


def failures(cases: Iterable[Case], alerts: Sequence[Alert]) -> str:
    """What promtool found to be other than the cases say of the alerts that they watch; empty when all is as they say.

    Cases that watch the same alerts share a process, whose start takes as long as a short case.
    """
    promtool = find()
    alike: dict[tuple[timedelta, tuple[str, ...]], list[Case]] = {}
    for case in cases:
        alike.setdefault((case.step, tuple(alert.name for alert in case.watched(alerts))), []).append(case)
    batches = [
        Batch(some[0].watched(alerts), some[first : first + CASES_EACH])
        for some in alike.values()
        for first in range(0, len(some), CASES_EACH)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return "".join(pool.map(lambda batch: _run(promtool, batch), batches))


def _run(promtool: str, batch: Batch) -> str:
    groups = [unit_test(batch, case) for case in batch.cases]
    report = _tested(promtool, batch.alerts, batch.cases[0].step, groups)
    if report and not named(report):
        raise ValueError(f"promtool could not run {', '.join(repr(case.story) for case in batch.cases)}:\n{report}")
    return report


def _tested(promtool: str, alerts: Sequence[Alert], step: timedelta, groups: Sequence[dict[str, object]]) -> str:
    """What promtool says against these groups; empty where nothing."""
    with tempfile.TemporaryDirectory(prefix="alert-proof-") as folder:
        Path(folder, "rules.yaml").write_text(prometheus.rules(alerts))
        test_file = Path(folder, "cases.yaml")
        document = {"rule_files": ["rules.yaml"], "evaluation_interval": duration(step), "tests": groups}
        test_file.write_text(json.dumps(document))  # JSON is YAML
        run = subprocess.run(
            [promtool, "test", "rules", test_file],
            env=os.environ | GO_RUNTIME,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    return run.stdout + run.stderr if run.returncode else ""


def named(report: str) -> set[str]:
    """The alerts that a report is about."""
    return set(re.findall(r'alertname=\\?"(\w+)', report))
