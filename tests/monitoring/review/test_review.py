"""`scripts/alerts` shows what an alert is, and what its cases look like."""

import shutil
from pathlib import Path

import pytest

from monitoring import catalogue
from monitoring.alerts import Alert, Severity
from monitoring.proof.scenarios import cases
from monitoring.review import __main__ as review
from monitoring.review import plot
from tests.facts import states

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="no promtool: scripts/install-system brings it"
)
ALERTS = {alert.name: alert for alert in catalogue.alerts()}
CASES = cases(tuple(ALERTS.values()))


def test_the_table_names_every_alert(capsys: pytest.CaptureFixture[str]) -> None:
    assert review.main([]) == 0
    shown = capsys.readouterr().out
    assert all(f" {name} " in shown for name in ALERTS)
    assert f"{len(ALERTS)} alerts: " in shown


def test_pages_and_tickets_are_shown_apart(capsys: pytest.CaptureFixture[str]) -> None:
    shown = {}
    for only in ("--page", "--ticket"):
        assert review.main([only]) == 0
        shown[only] = capsys.readouterr().out
    for alert in ALERTS.values():
        assert (f" {alert.name} " in shown["--page"]) == (alert.severity is Severity.PAGE)
        assert (f" {alert.name} " in shown["--ticket"]) == (alert.severity is Severity.TICKET)


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["show", "Spool"], ["no alert", "Spool", "SpoolFillsUp", "SpoolNotDraining"]),
        (["show", "Nonsense"], ["no alert", "Nonsense"]),
        (["--page", "--ticket"], ["not allowed with"]),
        (["dance"], ["invalid choice"]),
    ],
)
def test_wrong_use_is_told_of(arguments: list[str], facts: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        review.main(arguments)
    assert ended.value.code == 2
    states(capsys.readouterr().err, *facts)


def test_without_promtool_the_explanation_stands_and_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    assert review.main(["show", "SpoolFillsUp", "--plot", str(tmp_path / "a.png")]) == 2
    shown = capsys.readouterr()
    states(shown.out, "leadscoring_spool_bytes", "above", "230,400,000")
    assert "scripts/install-system" in shown.err
    assert not (tmp_path / "a.png").exists()


@pytest.mark.system
@needs_promtool
def test_an_alert_is_explained_and_drawn(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.png"
    assert review.main(["show", "SpoolFillsUp", "--plot", str(file)]) == 0
    shown = capsys.readouterr().out
    assert file.read_bytes().startswith(b"\x89PNG")
    for part in ("PagerDuty", "records.md", "records and telemetry / Spool", "holds       5m", str(file)):
        assert part in shown


@pytest.mark.system
@needs_promtool
def test_a_picture_that_cannot_be_written_is_a_failure(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert review.main(["show", "SpoolFillsUp", "--plot", str(tmp_path / "file" / "a.png")]) == 1
    assert "was not drawn" in capsys.readouterr().err


@pytest.mark.system
@needs_promtool
def test_the_marked_interval_is_the_one_that_the_case_promises() -> None:
    alert = ALERTS["SpoolFillsUp"]
    case, *_ = (case for case in plot.told(alert, CASES) if alert.name in case.fires)
    (interval,) = plot.firing(alert, case)
    assert interval == pytest.approx((case.fires[alert.name].after, case.fires[alert.name].until))
    (waiting,) = plot.firing(alert, case, "pending")
    assert waiting == pytest.approx((interval[0] - 5, interval[0]))  # its hold


@pytest.mark.parametrize("alert", ALERTS.values(), ids=lambda alert: alert.name)
def test_cases_of_every_alert_are_drawn_the_firing_ones_first(alert: Alert) -> None:
    fires = [alert.name in case.fires for case in plot.told(alert, CASES)]
    assert fires == sorted(fires, reverse=True)
    assert set(fires) == {True, False}
