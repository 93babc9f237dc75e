"""One cause, at most two pages, counted by series as Cloud Monitoring opens incidents."""

import shutil
from dataclasses import replace

import pytest

from monitoring import catalogue
from monitoring.alerts import Severity
from monitoring.simulation import __main__ as replayed
from monitoring.simulation import storms, world
from monitoring.simulation.storms import Outcome

WELL = Outcome("zone lost", {"ScoringAvailabilityBurnFast": 2}, {}, Severity.PAGE, promised=8, first=8)

needs_prometheus = pytest.mark.skipif(
    not shutil.which("prometheus"), reason="no prometheus: scripts/install-system brings it"
)


@needs_prometheus
@pytest.mark.parametrize(
    ("came_out", "missed"),
    [
        (WELL, None),
        (replace(WELL, promised=None, first=None), None),
        (replace(WELL, pages={"ScoringAvailabilityBurnFast": 2, "FrontDoorDown": 1}), "3 pages (at most 2)"),
        (replace(WELL, first=9), "comes after 9 min, promised within 8 min"),
        (replace(WELL, pages={}, first=None), "is never sent, promised within 8 min"),
    ],
)
def test_each_limit_that_a_storm_misses_is_an_exit_status(
    came_out: Outcome, missed: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(replayed, "stormed", lambda *_: [came_out])
    assert replayed.main(["--storms"]) == (1 if missed else 0)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("MISSED: ")]
    assert len(lines) == bool(missed)
    assert all("zone lost" in line and missed in line for line in lines if missed)


@pytest.mark.system
@needs_prometheus
def test_one_cause_pages_at_most_twice_and_in_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert replayed.main(["--storms"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n{cause} " in out for cause in storms.STORMS)
    assert "beyond" not in out


@pytest.mark.system
@pytest.mark.nightly
@needs_prometheus
def test_one_cause_pages_at_most_twice_at_every_volume() -> None:
    volumes = [option for per_day in (50, 2_000, 200_000) for option in ("--per-day", str(per_day))]
    assert replayed.main(["--storms", "--seed", "1", "--seed", "2", *volumes]) == 0


@pytest.mark.system
@needs_prometheus
def test_an_alert_with_a_series_for_each_pod_pages_once_for_each() -> None:
    """What the spool's alert did before it was one series."""
    by_pod = "max by (instance) (leadscoring_spool_bytes) > 1.28e+08"
    alerts = tuple(
        replace(alert, expr=by_pod) if alert.name == "SpoolFillsUp" else alert for alert in catalogue.alerts()
    )
    came_out = storms.run("bucket denied", 0, world.PER_DAY, alerts)
    assert came_out.pages["SpoolFillsUp"] == world.PODS
    assert came_out.misses()
