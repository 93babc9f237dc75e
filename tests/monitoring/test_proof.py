"""Alerts fire when their cases say, and the cases notice when alerts are changed."""

import re
import shutil
from dataclasses import replace
from datetime import timedelta
from math import nan
from pathlib import Path

import pytest

import monitoring
from monitoring import catalogue
from monitoring.alerts import Alert, Severity
from monitoring.platform import Job
from monitoring.promql.mutants import mutants
from monitoring.promql.text import metric_names
from monitoring.proof import __main__ as proof
from monitoring.proof import promtool
from monitoring.proof.cases import MINUTE, Case, Firing, counter, gauge, run
from monitoring.proof.decoys import among_others, decoys, parts, readings, takes
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
    assert {decoy.selector: decoy.before for decoy in decoys(case, [FULL])} == {
        'full_total{disk="a-elsewhere",pod="x",whose="loud"}': 9e6,
        'full_total{disk="a-elsewhere",pod="x",whose="silent"}': 0,
        'full_total{disk="elsewhere-a",pod="x",whose="loud"}': 9e6,
        'full_total{disk="elsewhere-a",pod="x",whose="silent"}': 0,
    }
    assert among_others(case, [FULL]).watched([FULL]) == (FULL,)


def test_what_is_summed_is_divided_among_pods_of_which_one_begins_again() -> None:
    read = readings('sum by (disk) (increase(full_total{disk=~"a|b"}[5m]))')
    first, second = parts(counter('full_total{disk="a",pod="x"}', 8, (5, 2)), read)
    assert ((first.before, first.after), (second.before, second.after)) == ((4, ((5, 1),)), (4, ((5, 1),)))
    assert all('disk="a"' in part.selector for part in (first, second))
    assert ['pod="x"' in part.selector for part in (first, second)] == [True, False]
    begun = expanded(second.samples(9 * MINUTE, 5 * MINUTE, MINUTE))
    assert begun[6:9] == [28, 4, 8]
    assert expanded(first.samples(9 * MINUTE, 5 * MINUTE, MINUTE))[6:9] == [28, 32, 36]


@pytest.mark.parametrize(
    ("expr", "values"),
    [
        ("max(a)", {2, 2 - 3e6}),
        ("min(a)", {2, 2 + 3e6}),
        ("max(time() - a)", {2, 2 + 3e6}),
        ("count(a)", {2}),
        ("a", {2}),
    ],
)
def test_what_is_not_summed_has_a_copy_and_one_on_the_harmless_side(expr: str, values: set[float]) -> None:
    told = list(parts(gauge('a{b="c"}', 2), readings(expr)))
    assert {part.before for part in told} == values
    assert len({part.selector for part in told}) == len(told) == {"count(a)": 2, "a": 1}.get(expr, 3)


def test_pods_beside_answer_otherwise_where_an_alert_asks_for_no_answer() -> None:
    read = [*readings('sum(a{status=~"5.."})'), *readings("sum(a)")]
    beside = {
        status: re.findall('status="([^"]*)"', [*parts(counter(f'a{{status="{status}"}}', 1), read)][1].selector)
        for status in ("200", "503")
    }
    assert beside == {"200": ["404"], "503": ["500"]}


def test_a_job_tells_one_sample_a_run() -> None:
    figure = run('a{job="compact"}', Job("compact", "20 * * * *", timedelta(hours=1)), 1, (60, 2), (1, None))
    values = expanded(figure.samples(60 * MINUTE, 180 * MINUTE, 30 * MINUTE))
    assert values == pytest.approx([1, nan, 2, nan, nan, nan, nan, nan, nan], nan_ok=True)


def test_a_decoy_of_one_selector_is_no_series_of_another() -> None:
    case = Case(story="it is full", series=(), lasts=5, stays_silent=("SpoolFull",))
    other = replace(FULL, expr='sum(a{disk="a",pod="x"}) > sum(a{disk="a"})')
    told = {each.selector.split(",whose")[0] for each in decoys(case, [other])}
    assert {'a{disk="a-elsewhere",pod="x"', 'a{disk="a-elsewhere"'} <= told
    assert not any('disk="a",pod' in each for each in told)


@pytest.mark.parametrize(
    ("matcher", "taken"), [('b="1"', True), ('b!="1"', False), ('b=~"1|2"', True), ('b!~"2"', True), ('c=""', True)]
)
def test_a_selector_takes_what_its_matchers_say(matcher: str, taken: bool) -> None:
    (selector,) = (reading.selector for reading in readings(f"a{{{matcher}}}"))
    assert takes(selector, "a", {"b": "1"}) is taken
    assert not takes(selector, "other", {"b": "1"})


@pytest.mark.parametrize(
    ("expr", "changed"),
    [
        ("a > 10", ["a > 20", "a > 5", "( (a) < (10) )", "a offset 1h > 10"]),
        ("a < 0.5", ["a < 50", "a < 0.005"]),
        ("a > 600", ["a > 600000", "a > 0.6"]),
        ("sum(a)", ["max (a)", "(a)"]),
        ("max by (b, c) (a)", ["sum by (b, c) (a)", "min by (b, c) (a)", "max by (b) (a)", "max by (c) (a)"]),
        ("min(a)", ["max (a)"]),
        ("a and on (b, c) d", ["((a) and on (b) (d))", "((a) and on (c) (d))", "((a) or on (b, c) (d))"]),
        ("increase(a[10m])", ["increase(a[5m])", "increase(a[20m])", "increase(a[1m])", "increase(a[10m] offset 1h)"]),
        ("increase(a[10m])", ["rate(a[10m])", "delta(a[10m])", "a"]),
        ("last_over_time(a[25h])", ["last_over_time(a[1h])", "max_over_time(a[1d1h])", "a"]),
        ("increase(a[1h]) / increase(b[1h])", ["increase(a[30m]) / increase(b[30m])"]),
        ('a{b="c"}', ["a", 'a{b_="c"}', 'a{b!="c"}', 'a{b=~"c.*"}', 'a{b=~".*c"}']),
        ('a{b=~"5.."}', ['a{b=~"[45].."}', 'a{b=~"500"}', 'a{b=~"503"}']),
        ('a{b=~"401|403"}', ['a{b=~"403"}', 'a{b=~"401"}', 'a{b=~"4.*"}']),
        ('a{b=~"x-.+"}', ['a{b=~"x-."}', 'a{b=~".*"}']),
        ('a{le="0.25"}', ['a{le="0.5"}', 'a{le=~"0\\\\.25|0\\\\.5"}']),
        ("a / b", ["( (b) / (a) )"]),
        ("sum_over_time(a[2h:5m])", ["max_over_time(a[2h:5m])"]),
    ],
)
def test_a_mutant_is_made_of_every_slip(expr: str, changed: list[str]) -> None:
    def bare(text: str) -> str:
        return re.sub(r"[ ()]", "", text)

    made = {bare(mutant.alert.expr) for mutant in mutants(replace(FULL, expr=expr))}
    assert {bare(text) for text in changed} - made == set()


@pytest.mark.parametrize(
    ("expr", "not_made"),
    [
        ("sum(increase(a[5m])) > 0", ["sum(rate(a[5m])) > 0", "max(increase(a[5m])) > 0"]),
        ('a{response_code_class="500"}', ['a{response_code_class=~"500.*"}', 'a{response_code_class=~".*500"}']),
    ],
)
def test_what_means_the_same_is_no_mutant(expr: str, not_made: list[str]) -> None:
    made = {re.sub(r"[ ()]", "", mutant.alert.expr) for mutant in mutants(replace(FULL, expr=expr))}
    assert made
    assert not made & {re.sub(r"[ ()]", "", text) for text in not_made}


def test_mutants_are_as_different_as_their_names() -> None:
    assert len({(m.alert.expr, m.alert.hold) for m in mutants(FULL)}) == len(mutants(FULL))
    assert {timedelta(0), 2 * FULL.hold} <= {mutant.alert.hold for mutant in mutants(FULL)}


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
def test_a_change_that_the_engine_refuses_is_noticed() -> None:
    both = [replace(FULL, name="Full__0", expr="a"), replace(FULL, name="Full__1", expr="a * on () b")]
    silent = Case(
        story="many to many",
        series=(gauge('a{x="1"}', 1), gauge('a{x="2"}', 1), gauge('b{x="1"}', 1), gauge('b{x="2"}', 1)),
        lasts=5,
        stays_silent=("Full",),
    )
    assert promtool.noticed(both, "Full", silent) == {"Full__0", "Full__1"}
    assert promtool.noticed([replace(both[1], expr="a > 2")], "Full", silent) == set()


@pytest.mark.system
@needs_promtool
def test_cases_that_do_not_notice_a_slip_miss_the_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert proof.main(["--mutants", "--of", "SpoolFillsUp"]) == 0
    monkeypatch.setattr(proof, "cases", lambda _: [case for case in CASES if case.everything])
    assert proof.main(["--mutants", "--of", "SpoolFillsUp"]) == 1
    assert "unnoticed: SpoolFillsUp: " in capsys.readouterr().out
