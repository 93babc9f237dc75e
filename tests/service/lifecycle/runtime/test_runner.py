import argparse
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.lifecycle.data.source import SourceError, load_source
from service.lifecycle.promotion.reconcile import repair
from service.lifecycle.runtime import runner
from service.lifecycle.runtime.gauges import Gauge
from service.lifecycle.runtime.runner import JobFailed, Loop
from service.storage import StorageError
from tests.facts import stating

ROOT = Path(__file__).parents[4]
SOURCE = ROOT / "service/examples/sample.toml"


def options(folder: Path, *more: str) -> list[str]:
    places = [word for name in ("models", "predictions", "leads") for word in (f"--{name}", str(folder / name))]
    return ["--source", str(SOURCE), *places, "--tracking", "http://127.0.0.1:9", *more]


def run(work: Callable[[Loop], Sequence[Gauge]], arguments: list[str]) -> int:
    made = runner.parser("evaluate", "A test.", "  none\n")
    return runner.run("evaluate", made, lambda loop, _: work(loop), repair, arguments)


def test_a_job_that_ends_well_says_so_beside_its_figures(tmp_path: Path) -> None:
    figure = Gauge("leadscoring_evaluation_leads", 7)
    assert run(lambda _: [figure], options(tmp_path, "--metrics", str(tmp_path / "figures"))) == 0
    text = (tmp_path / "figures/evaluate.prom").read_text()
    for name in ("evaluation_leads", "job_last_start", "job_last_success", "job_duration"):
        assert f"\nleadscoring_{name}" in f"\n{text}"
    assert "last_failure" not in text


def test_that_a_job_started_is_known_while_it_works(tmp_path: Path) -> None:
    seen: list[str] = []

    def work(_: Loop) -> Sequence[Gauge]:
        seen.append((tmp_path / "figures/evaluate.prom").read_text())
        return []

    arguments = options(tmp_path, "--metrics", str(tmp_path / "figures"))
    assert run(work, arguments) == run(work, arguments) == 0
    first, second = seen
    assert "last_start" in first
    assert "last_success" not in first
    assert "last_success" in second  # what the run before said has not vanished


@pytest.mark.parametrize(
    ("error", "code"), [(JobFailed("no leads"), 1), (StorageError("no bucket"), 1), (SourceError("no column"), 2)]
)
def test_a_job_that_fails_says_why_and_exports_that_it_did(
    error: Exception, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(_: Loop) -> Sequence[Gauge]:
        raise error

    assert run(work, options(tmp_path, "--metrics", str(tmp_path / "figures"))) == code
    assert str(error) in capsys.readouterr().err
    text = (tmp_path / "figures/evaluate.prom").read_text()
    assert "last_failure" in text
    assert "last_success" not in text


def test_figures_that_cannot_go_out_are_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run(lambda _: [], options(tmp_path, "--metrics", str(tmp_path / "file"))) == 1
    assert "--metrics" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "hour"), [("2026-03-01T12:00", 12), ("2026-03-01T12:00+02:00", 10)])
def test_the_clock_may_be_given(text: str, hour: int, tmp_path: Path) -> None:
    seen: list[datetime] = []

    def work(loop: Loop) -> Sequence[Gauge]:
        seen.append(loop.now)
        return []

    assert run(work, options(tmp_path, "--now", text)) == 0
    assert seen == [datetime(2026, 3, 1, hour, tzinfo=UTC)]


def test_what_is_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, _ in runner.OPTIONS.values():
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(SystemExit, match="2"):
        run(lambda _: [], ["--source", str(SOURCE), "--models", str(tmp_path)])
    assert "give --predictions, --leads, --tracking" in capsys.readouterr().err


def test_an_unusable_source_is_wrong_use(tmp_path: Path) -> None:
    arguments = options(tmp_path)
    arguments[1] = str(tmp_path / "none.toml")
    assert run(lambda _: [], arguments) == 2


def test_a_job_s_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    made: argparse.ArgumentParser = runner.parser("evaluate", "A test.", "  python -m service.lifecycle.evaluate\n")
    with pytest.raises(SystemExit, match="0"):
        made.parse_args(["--help"])
    shown = capsys.readouterr().out
    assert "examples:\n  python -m service.lifecycle.evaluate" in shown
    assert "exit status: 0 done" in shown


def test_the_maturity_may_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[float] = []

    def work(loop: Loop) -> Sequence[Gauge]:
        seen.append(loop.source.maturity_days)
        return []

    assert run(work, options(tmp_path)) == run(work, options(tmp_path, "--maturity-days", "0.02")) == 0
    assert seen == [7, 0.02]
    with pytest.raises(SystemExit, match="2"):
        run(work, options(tmp_path, "--maturity-days", "-1"))
    assert "--maturity-days -1 is not between" in capsys.readouterr().err


def test_the_size_of_a_training_sample_is_the_option_or_the_variable_or_the_source_s_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def rows(*arguments: str) -> int:
        made = argparse.ArgumentParser()
        runner.add_rows(made)
        return runner.sampled_to(load_source(SOURCE), made.parse_args(arguments).rows).recipe.rows

    assert (rows(), rows("--rows", "50000")) == (1_000_000, 50_000)
    monkeypatch.setenv("LEADSCORING_TRAINING_ROWS", "30000")
    assert (rows(), rows("--rows", "50000")) == (30_000, 50_000)
    for wrong in ("many", "100"):
        with pytest.raises(SourceError, match=stating("--rows", wrong, "20,000")):
            rows("--rows", wrong)
