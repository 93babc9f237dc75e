import argparse
import importlib
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.lifecycle import report
from service.local import scheduler
from service.local.scheduler import SCHEDULE, WINDOWS, Clock, Scheduler, commands, main, merged, serve
from service.rhythm import LOOP
from tests.conftest import HANG_S, free_port
from tests.facts import states

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)  # a Sunday
HOUR = timedelta(hours=1)


class World:
    """A scheduler of programs that write down that they ran."""

    def __init__(self, folder: Path, program: str, speed: float = 1, jobs: Iterable[str] = WINDOWS) -> None:
        self.said: list[str] = []
        self.ran = folder / "ran"
        command = [sys.executable, "-c", f"open({str(self.ran)!r}, 'a').write('x')\n{program}"]
        self.scheduler = Scheduler(
            Clock(MIDNIGHT, speed), dict.fromkeys(jobs, command), folder / "jobs", self.said.append
        )

    def until_idle(self, now: datetime) -> None:
        deadline = time.monotonic() + HANG_S
        while self.scheduler._running:
            assert time.monotonic() < deadline
            time.sleep(0.02)
            self.scheduler.tick(now)


def test_jobs_run_when_they_are_due_and_not_before(tmp_path: Path) -> None:
    world = World(tmp_path, "print('well')")
    world.scheduler.tick(MIDNIGHT + 4 * HOUR)
    assert world.said == []
    world.scheduler.tick(MIDNIGHT + 5 * HOUR)
    world.until_idle(MIDNIGHT + 5 * HOUR)
    assert world.said[0] == "evaluate starts"
    assert world.said[1].startswith("evaluate done after")
    world.scheduler.tick(MIDNIGHT + 5.5 * HOUR)
    assert len(world.said) == 2
    assert (tmp_path / "jobs/evaluate.log").read_text() == "well\n"
    world.scheduler.tick(MIDNIGHT + 31 * HOUR)
    world.until_idle(MIDNIGHT + 31 * HOUR)
    assert sorted(line for line in world.said[2:] if line.endswith("starts")) == [
        "drift starts",
        "evaluate starts",
        "retrain starts",
    ]


def test_a_day_passes_in_a_minute(tmp_path: Path) -> None:
    world = World(tmp_path, "", speed=1440)
    world.scheduler.tick(MIDNIGHT + timedelta(seconds=12))
    assert world.said == []
    world.scheduler.tick(MIDNIGHT + timedelta(seconds=13))
    assert world.said == ["evaluate starts"]
    world.scheduler.stop()


def test_records_are_compacted_by_the_hours_of_the_real_clock(tmp_path: Path) -> None:
    world = World(tmp_path, "", speed=1440, jobs=["compact"])
    world.scheduler.tick(MIDNIGHT + HOUR / 4)
    assert world.said == []
    world.scheduler.tick(MIDNIGHT + HOUR / 3)
    assert world.said == ["compact starts"]
    world.scheduler.stop()


def test_the_weeks_report_is_made_on_the_real_clocks_monday(tmp_path: Path) -> None:
    world = World(tmp_path, "", speed=1440, jobs=["report"])
    for hours, said in ((14, []), (37, []), (38, ["report starts"])):  # a Monday begins after 24 hours
        world.scheduler.tick(MIDNIGHT + hours * HOUR)
        assert world.said == said
    world.scheduler.stop()


def test_every_job_that_is_due_has_a_command_and_all_of_the_rhythm_but_files_are_due() -> None:
    assert commands(given(1), 30).keys() == SCHEDULE.keys() == LOOP.crons.keys() - {"batch"}


def test_a_job_that_still_runs_is_not_started_again(tmp_path: Path) -> None:
    world = World(tmp_path, "import time; time.sleep(60)")
    for hours in (5, 5 + 24):
        world.scheduler.tick(MIDNIGHT + hours * HOUR)
    states(world.said, "evaluate", "2026-03-02 05:00", "still running", "left out")
    assert world.said.count("evaluate starts") == 1
    world.scheduler.stop()


def test_a_job_that_fails_is_named_with_what_it_said_last_and_runs_again(tmp_path: Path) -> None:
    world = World(tmp_path, "print('no outcomes'); raise SystemExit(1)")
    for hours in (5, 29):
        world.scheduler.tick(MIDNIGHT + hours * HOUR)
        world.until_idle(MIDNIGHT + hours * HOUR)
    ended = [line for line in world.said if "evaluate ended" in line]
    assert len(ended) == 2
    for line in ended:
        states(line, "exit code 1")
    assert world.said[1].endswith(": no outcomes")


def test_stopping_ends_what_runs(tmp_path: Path) -> None:
    world = World(tmp_path, "import time; time.sleep(60)")
    world.scheduler.tick(MIDNIGHT + 5 * HOUR)
    ((process, _),) = world.scheduler._running.values()
    world.scheduler.stop()
    assert process.poll() is not None


def test_the_jobs_figures_are_one_page_with_each_name_once(tmp_path: Path) -> None:
    head = "# HELP leadscoring_a A.\n# TYPE leadscoring_a gauge\n"
    (tmp_path / "drift.prom").write_text(head + 'leadscoring_a{job="drift"} 1\n')
    (tmp_path / "evaluate.prom").write_text(
        head + 'leadscoring_a{job="evaluate"} 2\n# HELP leadscoring_b B.\n# TYPE leadscoring_b gauge\nleadscoring_b 3\n'
    )
    server = serve(tmp_path, 0)
    try:
        base = f"http://127.0.0.1:{server.server_port}"
        with urllib.request.urlopen(f"{base}/metrics", timeout=HANG_S) as answer:
            page = answer.read()
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            urllib.request.urlopen(f"{base}/../secrets", timeout=HANG_S)
        refused.value.close()
    finally:
        server.shutdown()
        server.server_close()
    assert page == merged(tmp_path)
    assert page.decode() == (
        head + 'leadscoring_a{job="drift"} 1.0\nleadscoring_a{job="evaluate"} 2.0\n'
        "# HELP leadscoring_b B.\n# TYPE leadscoring_b gauge\nleadscoring_b 3.0\n"
    )


def given(speed: float) -> argparse.Namespace:
    return argparse.Namespace(
        source="s.toml", models="m", predictions="p", leads="l", tracking="t", metrics="f", speed=speed, counter="c"
    )


def test_days_shrink_alike_for_all_jobs() -> None:
    quick, real = (commands(given(speed), 30) for speed in (1440, 1))
    for name, (option, days) in scheduler.WINDOWS.items():
        assert float(quick[name][quick[name].index("--maturity-days") + 1]) == pytest.approx(30 / 1440)
        assert float(quick[name][quick[name].index(option) + 1]) == pytest.approx(days / 1440)
        assert "--maturity-days" not in real[name]
        assert option not in real[name]
    assert quick["evaluate"][-2:] == ["--counter", "c"]
    assert "--counter" not in quick["drift"]


def test_the_report_is_called_as_it_is_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = given(1)
    options.models, options.metrics = str(tmp_path / "models"), str(tmp_path / "figures")
    assert report.main(commands(options, 30)["report"][3:]) == 0
    states(capsys.readouterr().out, report.MAIL, "not known yet")


@pytest.mark.parametrize("name", ["evaluate", "drift", "retrain"])
def test_the_jobs_know_the_options_they_are_called_with(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(f"service.lifecycle.{name}")
    with pytest.raises(SystemExit, match="0"):
        module.main([*commands(given(1440), 30)[name][3:], "--help"])
    assert scheduler.WINDOWS[name][0] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"), [(["--speed", "0"], "not between"), ([], "give --models"), (["--source", "no.toml"], "give")]
)
def test_wrong_use_is_named(more: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--source", "s.toml", "--port", str(free_port()), *more])
    assert said in capsys.readouterr().err
