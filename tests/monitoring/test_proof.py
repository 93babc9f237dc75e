"""Alerts fire when their cases say, and the cases notice when alerts are changed."""

import re
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import monitoring
from monitoring import catalogue
from monitoring.alerts import Alert, Severity
from monitoring.promql.mutants import mutants
from monitoring.promql.text import metric_names
from monitoring.proof import __main__ as proof
from monitoring.proof import promtool
from monitoring.proof.cases import MINUTE, Case, Firing, counter, gauge
from monitoring.proof.decoys import among_others, decoys, selectors, takes
from monitoring.proof.scenarios import cases
from tests.facts import states, stating

ALERTS = catalogue.alerts()
CASES = cases(ALERTS)
FULL = Alert(
    name="SpoolFull",
    expr='sum by (pod) (increase(full_total{disk="a"}[5m])) / sum by (pod) (b) > 0.5',
    hold=2 * MINUTE,
    severity=Severity.TICKET,
    summary="Full.",
    runbook="records.md",
    panel="Spool",
)

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="no promtool: scripts/install-system brings it"
)


@pytest.mark.parametrize(
    ("series", "samples"),
    [
        (counter("a_total", 5, (2, 0), (4, None), (2, 7)), "5+5x2 15+0x1 _x4 7+7x1 21+7x0"),
        (gauge("a", 1, (3, 2)), "1+0x2 2+0x6"),
        (gauge("a", None, (1, 2), (3, None), (1, 4)), "_x3 2+0x0 _x3 4+0x2"),
    ],
)
def test_a_series_is_told_in_promtools_notation(series: object, samples: str) -> None:
    told = series.samples(3 * MINUTE, 6 * MINUTE, MINUTE)  # type: ignore[attr-defined]
    assert expanded(told) == pytest.approx(expanded(samples)[: len(expanded(told))], nan_ok=True)


def expanded(notation: str) -> list[float]:
    """Every sample of a series in promtool's notation; nan where there is none."""
    values: list[float] = []
    for note in notation.split():
        head, _, times = note.partition("x")
        if head == "_":
            values += [float("nan")] * int(times)
        elif not times:
            values.append(float(head))
        else:
            at = max(head.rfind("+"), head.rfind("-"))
            values += [float(head[:at]) + float(head[at:]) * n for n in range(int(times) + 1)]
    return values


def test_googles_samples_come_as_late_as_google_says() -> None:
    late = gauge("cloudsql_googleapis_com:database_cpu_utilization", 0.5, (5, 0.9))
    assert late.samples(2 * MINUTE, 5 * MINUTE, MINUTE).startswith("_x3 ")  # 165 s


def test_a_counter_of_parts_never_falls_back_by_rounding() -> None:
    told = counter("a_total", 0, (30, 0.2), (1, 0)).samples(5 * MINUTE, 40 * MINUTE, MINUTE)
    values = expanded(told)
    assert values == sorted(values)
    assert all(float(step).is_integer() for step in re.findall(r"\+([\d.e-]+)x", told)), "the tool adds step to step"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_has_a_case_that_fires_it_and_two_that_do_not(alert: Alert) -> None:
    assert any(alert.name in case.fires for case in CASES)
    assert any(alert.name in case.stays_silent for case in CASES)
    (night,) = (case for case in CASES if case.everything)
    assert alert in night.watched(ALERTS)
    told = {series.selector.split("{")[0] for series in night.series}
    assert metric_names(alert.expr) <= told, "a night without its metrics is quiet for nothing"


def test_the_readme_says_how_many_alerts_cases_and_changes_there_are() -> None:
    text = Path(monitoring.__file__).with_name("README.md").read_text()
    changes = sum(len(mutants(alert)) for alert in ALERTS)
    states(text, f"{len(ALERTS)} alerts", f"{len(CASES)} cases", f"{changes:,} changes")


def test_a_case_about_an_unknown_alert_is_refused() -> None:
    case = Case(story="it breaks", series=(), lasts=5, fires={"Typo": Firing(after=0, until=5)})
    with pytest.raises(ValueError, match=stating("no alert", "Typo")):
        case.watched(ALERTS)


def test_decoys_differ_in_one_label_that_a_selector_asks_for() -> None:
    case = Case(
        story="it is full",
        series=(counter('full_total{disk="a",pod="x"}', 1, (5, 9)),),
        lasts=5,
        fires={"SpoolFull": Firing(after=2, until=5)},
    )
    loud, silent = list(decoys(case, [FULL]))
    assert loud.selector == 'full_total{disk="elsewhere",pod="x",whose="loud"}'
    assert silent.selector == 'full_total{disk="elsewhere",pod="x",whose="silent"}'
    assert (loud.before, silent.before) == (9e6, 0)
    assert among_others(case, [FULL]).watched([FULL]) == (FULL,)


def test_a_decoy_of_one_selector_is_no_series_of_another() -> None:
    case = Case(story="it is full", series=(), lasts=5, stays_silent=("SpoolFull",))
    other = replace(FULL, expr='sum(a{disk="a",pod="x"}) > sum(a{disk="a"})')
    assert {each.selector.split(",whose")[0] for each in decoys(case, [other])} == {
        'a{disk="elsewhere",pod="x"',
        'a{disk="elsewhere"',
    }


@pytest.mark.parametrize(
    ("matcher", "taken"), [('b="1"', True), ('b!="1"', False), ('b=~"1|2"', True), ('b!~"2"', True), ('c=""', True)]
)
def test_a_selector_takes_what_its_matchers_say(matcher: str, taken: bool) -> None:
    (selector,) = selectors(f"a{{{matcher}}}")
    assert takes(selector, "a", {"b": "1"}) is taken
    assert not takes(selector, "other", {"b": "1"})


def test_a_mutant_is_made_of_every_slip() -> None:
    changed = {mutant.change.split(" in ")[0] for mutant in mutants(FULL)}
    assert changed == {
        "disk dropped",
        "disk renamed",
        "rate for increase",
        "by dropped",
        "numerator for denominator",
        "doubled",
        "halved",
        "flipped",
        "hold removed",
        "hold doubled",
    }
    assert len({(m.alert.expr, m.alert.hold) for m in mutants(FULL)}) == len(mutants(FULL))
    assert timedelta(0) in {mutant.alert.hold for mutant in mutants(FULL)}


def test_a_missing_promtool_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert proof.main(["--of", "SpoolFillsUp"]) == 2
    assert "scripts/install-system" in capsys.readouterr().err


def test_an_unknown_alert_is_wrong_use() -> None:
    with pytest.raises(SystemExit) as ended:
        proof.main(["--of", "Typo"])
    assert ended.value.code == 2


@pytest.mark.system
@needs_promtool
def test_alerts_behave_as_all_cases_say() -> None:
    assert promtool.failures(CASES, ALERTS) == ""


@pytest.mark.system
@needs_promtool
def test_a_case_that_says_otherwise_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [
        replace(case, fires={name: replace(firing, after=firing.after + 1) for name, firing in case.fires.items()})
        for case in CASES
        if "SpoolFillsUp" in case.fires
    ]
    monkeypatch.setattr(proof, "cases", lambda _: wrong)
    assert proof.main(["--of", "SpoolFillsUp"]) == 1
    assert "SpoolFillsUp" in capsys.readouterr().err


@pytest.mark.system
@needs_promtool
def test_cases_that_do_not_notice_a_slip_miss_the_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert proof.main(["--mutants", "--of", "SpoolFillsUp"]) == 0
    monkeypatch.setattr(proof, "cases", lambda _: [case for case in CASES if case.everything])
    assert proof.main(["--mutants", "--of", "SpoolFillsUp"]) == 1
    assert "unnoticed: SpoolFillsUp: " in capsys.readouterr().out
