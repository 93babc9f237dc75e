"""Thirty days told by a seed, in a real Prometheus."""

import shutil
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from monitoring import catalogue
from monitoring.catalogue.promises import AVAILABILITY
from monitoring.promql.text import metric_names
from monitoring.proof.cases import MINUTE
from monitoring.proof.scenarios import pods, records
from monitoring.simulation import __main__ as replayed
from monitoring.simulation import firing, fleet, incidents, tsdb, verdict, world
from monitoring.simulation.firing import held
from monitoring.simulation.incidents import Incident
from monitoring.slos import BURN_WINDOWS
from tests.monitoring.test_proof import expanded

ALERTS = {alert.name: alert for alert in catalogue.alerts()}
DAYS = 6
FULL = ALERTS["SpoolFillsUp"]
FILLS = Incident("a spool fills", 2000, 2060, {"SpoolFillsUp": 10})

needs_prometheus = pytest.mark.skipif(
    not shutil.which("prometheus"), reason="no prometheus: scripts/install-system brings it"
)


@pytest.mark.parametrize(
    ("true", "steps", "fires"),
    [
        ([0, 1, 1, 1, 0, 1], 0, [0, 1, 1, 1, 0, 1]),
        ([0, 1, 1, 1, 0, 1], 2, [0, 0, 0, 1, 0, 0]),
        ([1, 1, 1, 1], 2, [0, 0, 1, 1]),
    ],
)
def test_what_is_true_fires_once_it_was_so_for_its_hold(true: list[int], steps: int, fires: list[int]) -> None:
    assert held(np.array(true, bool), steps).astype(int).tolist() == fires


def told(seed: int) -> tuple[world.World, tuple[Incident, ...]]:
    days = world.quiet(seed, DAYS)
    fleet.add_baseline(days)
    happened = incidents.inject(days)
    fleet.add_traffic(days)
    return days, happened


def test_a_seed_tells_the_same_days_again_and_another_seed_others() -> None:
    (first, happened), (again, as_before), (other, _) = told(1), told(1), told(2)
    assert happened == as_before
    for one, two in zip(first.told(), again.told(), strict=True):
        assert (one.name, one.labels) == (two.name, two.labels)
        assert np.array_equal(one.values, two.values)
    assert not np.array_equal(first.rate, other.rate)


def test_every_alert_reads_series_that_the_days_tell() -> None:
    names = {series.name for seed in range(3) for series in told(seed)[0].told()}
    assert {name for alert in ALERTS.values() for name in metric_names(alert.expr)} <= names


def test_what_a_burn_rate_promises_follows_from_share_and_traffic() -> None:
    days = world.quiet(0, DAYS)
    days.rate[:] = 1000
    fast = BURN_WINDOWS[0]
    # 1.344 % of an hour's requests fail within 60 * 1.344 / 20 minutes; chance may add some.
    assert days.promise(AVAILABILITY, fast, 0.2, 3000) in range(5, 7)
    assert days.promise(AVAILABILITY, fast, 0.013, 3000) is None
    days.rate[:] = 1  # ten failures are needed: of 25 that are expected no fewer come but by three deviations
    assert days.promise(AVAILABILITY, fast, 0.9, 3000) in range(27, 31)
    assert days.promise(AVAILABILITY, fast, 0.2, 3000) is None


@pytest.mark.parametrize(
    ("expr", "tenfold"),
    [
        ("a > 2", "(a) > (20)"),
        ("a < 0.5 * b", "(a) < (0.05 * b)"),
        ("max(time() - a > bool 300) == 1", "max((time() - a) > bool (3000)) == 1"),
        ('count(a{b="1"}) == 0', 'count(a{b="1"}) == 0'),
    ],
)
def test_a_limit_is_what_stands_right_of_a_comparison(expr: str, tenfold: str) -> None:
    assert " ".join(verdict.scaled(expr, 10).split()) == tenfold


@pytest.mark.parametrize(
    ("spans", "told_after"),
    [([(2008, 2060)], 8), ([(1990, 2060)], 0), ([(2011, 2060)], None), ([(1900, 1990)], None), ([], None)],
)
def test_an_incident_is_found_when_its_alert_fires_in_time(
    spans: list[tuple[int, int]], told_after: int | None
) -> None:
    (found,) = verdict.found([FILLS], [FULL], {"SpoolFillsUp": spans})
    assert found.told == told_after


@pytest.mark.parametrize(("at", "uncaused"), [(1999, 1), (2000, 0), (2074, 0), (2200, 1)])
def test_an_alert_without_a_cause_is_false(at: int, uncaused: int) -> None:
    assert len(list(verdict.false_alerts([FILLS], [FULL], {"SpoolFillsUp": [(at, at + 5)]}))) == uncaused


def test_a_missing_prometheus_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert replayed.main(["--seed", "0"]) == 2
    assert "scripts/install-system" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--seed", "-1"], ["--days", "2"], ["--seed", "x"]])
def test_wrong_use_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        replayed.main(wrong)
    assert ended.value.code == 2


@pytest.mark.system
@needs_prometheus
def test_alerts_fire_here_when_promtool_says_that_they_do() -> None:
    cases = [case for case in (*pods.CASES, *records.CASES) if len(case.fires) == 1 and case.step == MINUTE]
    assert len(cases) >= 8
    for case in cases:
        ((name, fires),) = case.fires.items()
        times = world.EPOCH + 60 * np.arange(case.history + case.lasts + 1, dtype=np.int64)
        found = np.zeros(len(times), bool)
        with tsdb.running() as database:
            for series in case.series:
                values = np.array(expanded(series.samples(MINUTE * case.history, MINUTE * case.lasts, MINUTE)))
                there = ~np.isnan(values)
                metric, _, labels = series.selector.partition("{")
                pairs = dict(pair.replace('"', "").split("=") for pair in labels.rstrip("}").split(",") if pair)
                database.write([tsdb.Samples(metric, pairs, times[: len(values)][there], values[there])])
            for true in database.true(ALERTS[name].expr, times).values():
                assert true.any()
                found |= held(true, ALERTS[name].hold // timedelta(minutes=1))
        fired = np.flatnonzero(found) - case.history
        assert (fired[0], fired[-1]) == (fires.after, min(fires.until - 1, case.lasts)), case.story


@pytest.mark.system
@needs_prometheus
def test_all_bars_are_kept_and_a_lowered_one_is_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--seed", "0", "--seed", "1", "--days", "9"]
    assert replayed.main(asked) == 0
    assert "MISSED" not in capsys.readouterr().out
    monkeypatch.setattr(replayed, "FALSE_PAGES_ALLOWED", -1)
    later = tuple(replace(alert, expr=verdict.scaled(alert.expr, 10)) for alert in ALERTS.values())
    monkeypatch.setattr(catalogue, "alerts", lambda: later)
    assert replayed.main(asked) == 1
    out = capsys.readouterr().out
    assert "MISSED: 0 false pages (at most -1 in all)" in out
    assert "promises kept (all must be)" in out.split("MISSED: ")[1]


@pytest.mark.system
@needs_prometheus
def test_how_often_alerts_fire_is_counted_for_any_list_of_alerts() -> None:
    sooner = replace(FULL, name="Sooner", expr="max by (instance) (leadscoring_spool_bytes) > 1.999e6", hold=MINUTE)
    counts = firing.firings([FULL, sooner], seed=0, days=3)
    assert counts["SpoolFillsUp"] == 0
    assert counts["Sooner"] >= 0
    assert counts.keys() == {"SpoolFillsUp", "Sooner"}
