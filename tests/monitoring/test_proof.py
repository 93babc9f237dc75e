"""Alerts fire when their cases say, and the cases notice when alerts are changed."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from monitoring.alerts import Alert
from monitoring.catalogue import promises
from monitoring.proof import CASES, promtool
from monitoring.proof.cases import STEP, Case, Firing, counter

ALERTS = promises.AVAILABILITY.alerts()

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="no promtool: scripts/install-system brings it"
)

# Each changes an expression as a slip of the hand would.
MUTANTS: dict[str, Callable[[str], str]] = {
    "thresholds halved": lambda expr: re.sub(r"> ([\d.]+)", lambda m: f"> {float(m[1]) / 2}", expr),
    "thresholds doubled": lambda expr: re.sub(r"> ([\d.]+)", lambda m: f"> {float(m[1]) * 2}", expr),
    "comparisons flipped": lambda expr: expr.replace(" > ", " < "),
    "guard dropped": lambda expr: expr.rsplit("\nand\n", 1)[0],
    "guard one higher": lambda expr: expr.replace(">= 10", ">= 11"),
    "short window dropped": lambda expr: "\nand\n".join(expr.split("\nand\n")[::2]),
    "long window dropped": lambda expr: expr.split("\nand\n", 1)[1],
    "statuses dropped": lambda expr: expr.replace(',status=~"5.."', ""),
    "4xx counted as bad": lambda expr: expr.replace("5..", "[45].."),
    "route dropped": lambda expr: expr.replace('route="/v1/score"', 'route=~".+"'),
    "growth read as value": lambda expr: re.sub(r"increase\((.+?)\[\w+\]\)", r"\1", expr),
    "pods not added up": lambda expr: re.sub(r"\bsum\(", "max(", expr),
}


def test_a_counter_is_told_in_promtools_notation() -> None:
    minutes = timedelta(minutes=1)
    assert counter((3 * minutes, 5), (2 * minutes, 0), (4 * minutes, None), (2 * minutes, 7)) == (
        "0 5+5x2 15+0x1 _x4 7+7x1"
    )


def test_a_case_is_asserted_at_every_step_for_every_alert() -> None:
    case = Case(
        story="it breaks",
        series={"x_total": "0"},
        fault=2 * STEP,
        lasts=3 * STEP,
        fires={ALERTS[0].name: Firing(after=STEP, until=3 * STEP)},
    )
    checks = promtool.unit_test(ALERTS, case)["alert_rule_test"]
    assert isinstance(checks, list)
    fired = [(check["alertname"], check["eval_time"]) for check in checks if check["exp_alerts"]]
    assert fired == [(ALERTS[0].name, "3m"), (ALERTS[0].name, "4m")]
    assert len(checks) == 6 * len(ALERTS)


def test_a_case_for_an_unknown_alert_is_refused() -> None:
    case = replace(CASES[0], fires={"Typo": Firing(after=STEP, until=2 * STEP)})
    with pytest.raises(ValueError, match="no alert is called Typo"):
        promtool.unit_test(ALERTS, case)


def test_a_missing_promtool_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="scripts/install-system"):
        promtool.failures(ALERTS, CASES)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_has_cases_that_fire_it_and_two_that_do_not(alert: Alert) -> None:
    assert any(alert.name in case.fires for case in CASES)
    assert sum(not case.fires for case in CASES) >= 2


@pytest.mark.system
@needs_promtool
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.story)
def test_alerts_behave_as_told(case: Case) -> None:
    assert promtool.failures(ALERTS, [case]) == ""


@pytest.mark.system
@needs_promtool
@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_cases_notice_a_changed_alert(mutant: str) -> None:
    mutated = [replace(alert, expr=MUTANTS[mutant](alert.expr)) for alert in ALERTS]
    assert not {alert.expr for alert in ALERTS} & {alert.expr for alert in mutated}
    unnoticed = {alert.name for alert in ALERTS}
    for case in CASES:
        unnoticed -= set(re.findall(r"alertname: ?(\w+)", promtool.failures(mutated, [case])))
        if not unnoticed:
            return
    pytest.fail(f"{mutant}: nothing noticed it in {', '.join(sorted(unnoticed))}")
