from pathlib import Path

import pytest

from infra.sizing import TooLarge, Volume, job_size
from tests.benchmarks.scale import __main__ as command
from tests.benchmarks.scale.figures import LIVE_DAYS, MEMORY, SECONDS, Figures, Line, largest, plot
from tests.benchmarks.scale.jobs import JOBS
from tests.benchmarks.scale.processes import Measured


def figures(seconds: float = 10.0, memory: float = 1e9, sizes: tuple[int, ...] = command.SIZES) -> Figures:
    measured = {size: {job: Measured(seconds, int(memory), 1_000_000) for job in JOBS} for size in sizes}
    return Figures(measured, spark={sizes[0]: {"job": 3.0, "spark": 20.0}})


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (figures(), 0),
        (figures(seconds=SECONDS[100_000] + 0.1), 1),
        (figures(seconds=SECONDS[10_000_000] + 0.1, sizes=(10_000_000,)), 1),
        (figures(memory=MEMORY + 1), 1),
        (figures(seconds=1_000.0, sizes=(1_000_000,)), 0),
    ],
)
def test_a_missed_limit_is_an_exit_status(
    found: Figures, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "measured", lambda *_: found)
    picture = tmp_path / "figures.png"
    assert command.main(["--json", str(tmp_path / "figures.json"), "--plot", str(picture)]) == status
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "figures.json").stat().st_size


def test_a_line_through_three_sizes_is_the_one_that_they_lie_on() -> None:
    line = Line.through({size: 12.0 + 15e-6 * size for size in command.SIZES})
    assert (line.fixed, line.each, line.off) == pytest.approx((12.0, 15e-6, 0.0), abs=1e-6)
    assert line.at(93_333_333) == pytest.approx(1_412.0)


def test_no_job_costs_less_than_nothing_without_records_or_for_one_more() -> None:
    assert Line.through({100: 1.0, 1_000: 100.0, 10_000: 1_100.0}).fixed == 0
    assert Line.through({100: 3.0, 1_000: 2.0, 10_000: 1.0}).each == 0


def test_the_switch_to_spark_lies_where_a_job_no_longer_fits() -> None:
    most = largest("retrain")
    job_size("retrain", Volume(most, LIVE_DAYS, "duckdb"))
    with pytest.raises(TooLarge):
        job_size("retrain", Volume(most + 1_000, LIVE_DAYS, "duckdb"))


def test_a_picture_needs_no_limit_among_its_sizes(tmp_path: Path) -> None:
    plot(figures(sizes=(5_000,)), tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_temporary_files_grow_as_they_do_beyond_what_memory_holds() -> None:
    found = figures()
    for size, files in zip(command.SIZES, (15_000_000, 39_000_000, 1_185_000_000), strict=True):
        found.measured[size]["evaluate"] = Measured(10.0, 1_000_000_000, files)
    assert found.line("evaluate", "files").at(10_000_000) >= 1_184_000_000
