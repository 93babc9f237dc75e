"""Thirty days told by a seed, in a real Prometheus."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from monitoring import catalogue
from monitoring.alerts import Alert
from monitoring.catalogue.promises import AVAILABILITY
from monitoring.promql.text import metric_names
from monitoring.proof.cases import MINUTE
from monitoring.proof.scenarios import pods, records
from monitoring.simulation import __main__ as replayed
from monitoring.simulation import firing, fleet, incidents, tsdb, verdict, world
from monitoring.simulation.incidents import Incident
from monitoring.simulation.reach import Enough, Share, held, reached
from monitoring.simulation.report import SeedResult
from monitoring.simulation.verdict import Found, Uncaused
from monitoring.slos import BURN_WINDOWS
from tests.monitoring.test_proof import expanded

ALERTS = {alert.name: alert for alert in catalogue.alerts()}
DAYS = 6
VOLUMES = [option for per_day in (50, 2_000, 200_000) for option in ("--per-day", str(per_day))]
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


def test_a_jobs_figure_is_one_sample_for_each_of_its_runs() -> None:
    days, _ = told(0)
    series = [each for each in days.told() if each.labels.get("job") in world.JOBS]
    assert {each.labels["job"] for each in series} == set(world.JOBS)
    for each in series:
        ends = {
            int(world.EPOCH + 60 * (run.start + run.minutes))
            for run in days.runs
            if run.job == each.labels["job"] and not run.dead
        }
        assert set(each.times.tolist()) <= ends
        assert len(set(each.times.tolist())) == len(each.times)


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


def test_a_guard_is_reached_when_chance_cannot_keep_it_from_its_number() -> None:
    events = np.where(np.arange(1000) < 500, 0.0, 1.0)
    assert reached(500, 600, 0, [Enough(events, 60, 10)]) == 25  # of which no fewer than ten come
    assert reached(500, 600, 5, [Enough(events, 60, 10)]) == 30
    assert reached(500, 520, 0, [Enough(events, 60, 10)]) is None
    assert reached(500, 600, 0, [Enough(events, 60, 10), Share(0.3 * events, events, 60, 0.2)]) is None
    assert reached(500, 600, 0, [Enough(events, 60, 10), Share(0.9 * events, events, 60, 0.2)]) == 25


@pytest.mark.parametrize("per_day", [50, 2_000, 200_000])
def test_a_world_has_the_traffic_that_it_declares(per_day: int) -> None:
    means = [world.quiet(seed, 28, per_day).rate[world.DAY : 29 * world.DAY].mean() * world.DAY for seed in range(20)]
    assert np.mean(means) == pytest.approx(per_day, rel=0.25)


def test_what_little_traffic_cannot_tell_of_is_named_and_not_promised() -> None:
    def promised(per_day: int) -> tuple[set[str], set[str]]:
        days = world.quiet(1, DAYS, per_day)
        fleet.add_baseline(days)
        happened = [each for kind in incidents.SERVING for each in kind(days, 2)]
        return {name for each in happened for name in each.must}, {name for each in happened for name in each.beyond}

    kept, beyond = promised(50)
    assert {"ScoringAvailabilityBurnFast", "SpoolFillsUp", "CallersRefusedByPods"} <= beyond - kept
    assert {"FrontDoorDown", "ServiceMetricsAbsent", "ScoringPodsHalfGone"} <= kept
    kept, beyond = promised(world.PER_DAY)
    assert not beyond - kept


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


@pytest.mark.parametrize(("at", "uncaused"), [(1999, 1), (2000, 0), (2095, 0), (2096, 1)])
def test_an_alert_without_a_cause_is_false(at: int, uncaused: int) -> None:
    fired = {"SpoolFillsUp": {"{}": [(at, at + 5)]}}
    assert len(list(verdict.false_alerts([FILLS], [FULL], fired))) == uncaused


@pytest.mark.parametrize(("after", "uncaused"), [(35, 0), (40, 1), (360, 1)])
def test_a_page_that_begins_later_than_its_short_window_remembers_is_false(after: int, uncaused: int) -> None:
    slow = ALERTS["ScoringAvailabilityBurnSlow"]  # six hours and thirty minutes
    burnt = Incident("requests fail", 2000, 2060, {}, frozenset({slow.name}))
    fired = {slow.name: {"{}": [(2060 + after, 2500)]}}
    assert len(list(verdict.false_alerts([burnt], [slow], fired))) == uncaused


def test_each_series_of_an_alert_is_an_incident_of_its_own() -> None:
    pods = {f'{{"instance": "{pod}"}}': [(100, 110)] for pod in range(4)}
    assert len(list(verdict.false_alerts([], [FULL], {"SpoolFillsUp": pods}))) == 4
    assert firing.merged({"a": [(1, 5), (9, 10)], "b": [(3, 7)]}) == [(1, 7), (9, 10)]


def test_a_missing_prometheus_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert replayed.main(["--seed", "0"]) == 2
    assert "scripts/install-system" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--seed", "-1"], ["--days", "2"], ["--seed", "x"], ["--per-day", "0"]])
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
def test_all_bars_are_kept_at_every_volume(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--seed", "0", "--seed", "1", "--days", "4", *VOLUMES]
    assert replayed.main(asked) == 0
    out = capsys.readouterr().out
    assert "MISSED" not in out
    assert "control, limits halved" in out
    assert "beyond this traffic" in out.split("2,000 requests a day")[0]


@pytest.mark.system
@pytest.mark.nightly
@needs_prometheus
def test_all_bars_are_kept_at_every_volume_in_twenty_months() -> None:
    assert replayed.main(VOLUMES) == 0


def result(found: Found | None = None, false: Sequence[Alert] = (), halved: int = 1, tenfold: int = 1) -> SeedResult:
    return SeedResult(
        seed=0,
        days=30,
        per_day=200_000,
        seconds=1.0,
        found=(found or Found(FILLS, "SpoolFillsUp", 10, 5),),
        beyond=(),
        false=tuple(Uncaused(alert, 3000) for alert in false),
        without_series=frozenset(),
        halved=halved,
        tenfold=tenfold,
    )


@needs_prometheus
@pytest.mark.parametrize(
    ("came_out", "missed"),
    [
        (result(), None),
        (result(Found(FILLS, "SpoolFillsUp", 10, None)), "0 of 1 promises kept"),
        (result(false=[FULL] * 2), "2 false pages"),
        (result(false=[ALERTS["ScoringOutOfMemory"]] * 2), "2 false tickets"),
        (result(halved=0), "control, limits halved"),
        (result(tenfold=0), "control, limits tenfold"),
    ],
)
def test_each_bar_that_is_missed_is_an_exit_status(
    came_out: SeedResult, missed: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(replayed, "replayed", lambda *_: [came_out])
    assert replayed.main(["--seed", "0"]) == (1 if missed else 0)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("MISSED: ")]
    assert len(lines) == bool(missed)
    assert all(missed in line for line in lines if missed)


@pytest.mark.system
@needs_prometheus
def test_how_often_alerts_fire_is_counted_for_any_list_of_alerts() -> None:
    sooner = replace(FULL, name="Sooner", expr="max(leadscoring_spool_bytes) > 1.999e6", hold=MINUTE)
    counts = firing.firings([FULL, sooner], seed=0, days=3)
    assert counts["SpoolFillsUp"] == 0
    assert counts["Sooner"] >= 0
    assert counts.keys() == {"SpoolFillsUp", "Sooner"}
