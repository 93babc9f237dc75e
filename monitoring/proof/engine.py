"""Values of expressions over time, by Prometheus' own engine: its unit-test tool says what it got.

Each value is asked for with an answer that cannot be, and the tool reports what it is instead.
https://prometheus.io/docs/prometheus/2.42/configuration/unit_testing_rules/
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from monitoring import prometheus
from monitoring.alerts import Alert
from monitoring.promql.text import duration
from monitoring.proof.promtool import find

Labels = tuple[tuple[str, str], ...]
Points = list[tuple[timedelta, float]]

_GOT = re.compile(r"^ +got: (.*)$", re.MULTILINE)
_SAMPLE = re.compile(r'(\{(?:"(?:\\.|[^"\\])*"|[^"}])*\}) (\S+?)(?:, |$)')
_LABEL = re.compile(r'(\w+)="((?:\\.|[^"\\])*)"')
_LONGEST = 300  # seconds
_NEVER = [{"labels": '{it_is="never"}', "value": 0}]


class EngineFailed(Exception):
    """The engine could not evaluate; the message is its own."""


def values(
    series: Mapping[str, str],
    exprs: Sequence[str],
    times: Sequence[timedelta],
    *,
    step: timedelta,
    alerts: Iterable[Alert] = (),
) -> dict[str, dict[Labels, Points]]:
    """For each expression its series: labels, and values at those of `times` (from the first sample) where it has one.

    `series` are selectors with their samples in promtool's notation, one a `step`. `alerts` are evaluated at each step,
    so that an expression may ask for ALERTS. Raises EngineFailed, and FileNotFoundError where there is no promtool.
    """
    asked = [(expr, time) for expr in dict.fromkeys(exprs) for time in times]
    by_expr: dict[str, dict[Labels, Points]] = {expr: {} for expr in exprs}
    if not asked:
        return by_expr
    for (expr, time), got in zip(asked, _ask(series, asked, step, list(alerts)), strict=True):
        for labels, value in _SAMPLE.findall(got):
            key = tuple((name, json.loads(f'"{text}"')) for name, text in _LABEL.findall(labels))
            by_expr[expr].setdefault(key, []).append((time, float(value)))
    return by_expr


def _ask(
    series: Mapping[str, str], asked: Sequence[tuple[str, timedelta]], step: timedelta, alerts: Sequence[Alert]
) -> list[str]:
    test = {
        "interval": duration(step),
        "input_series": [{"series": selector, "values": samples} for selector, samples in series.items()],
        "promql_expr_test": [
            {"expr": expr, "eval_time": duration(time), "exp_samples": _NEVER} for expr, time in asked
        ],
    }
    with tempfile.TemporaryDirectory(prefix="engine-") as folder:
        Path(folder, "rules.yaml").write_text(prometheus.rules(alerts))
        test_file = Path(folder, "test.yaml")
        about = {"rule_files": ["rules.yaml"], "evaluation_interval": duration(step), "tests": [test]}
        test_file.write_text(json.dumps(about))  # JSON is YAML
        command = [find(), "test", "rules", str(test_file)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST)
    got = _GOT.findall(run.stdout + run.stderr)
    if len(got) != len(asked):
        raise EngineFailed((run.stdout + run.stderr).strip()[:2000])
    return got
