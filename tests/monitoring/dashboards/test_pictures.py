"""Pictures of the dashboards: what is on them comes from a real Prometheus, and every panel has something to show."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from monitoring.dashboards import __main__ as command
from monitoring.dashboards import dashboards, pictures
from monitoring.dashboards.panel import Dashboard, Line, Panel, Unit
from monitoring.dashboards.simulated import further
from monitoring.simulation.firing import replay
from monitoring.simulation.tsdb import Tsdb
from monitoring.simulation.world import DAY, EPOCH

BOARDS = dashboards()
MADE = Path(pictures.__file__).parent
MOST_BYTES = 150_000
needs_prometheus = pytest.mark.skipif(
    not shutil.which("prometheus"), reason="no prometheus: scripts/install-system brings it"
)


@pytest.fixture(scope="module")
def simulated() -> Iterator[tuple[Tsdb, NDArray[np.int64]]]:
    with replay(0, 2) as told:
        told.database.write(further(told.days))
        yield told.database, EPOCH + 60 * np.arange(2 * DAY, 3 * DAY, 120, dtype=np.int64)


@pytest.mark.system
@needs_prometheus
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.id)
def test_every_query_of_a_dashboard_has_an_answer_or_says_that_all_is_well(
    board: Dashboard, simulated: tuple[Tsdb, NDArray[np.int64]]
) -> None:
    for panel in board.panels:
        for line in panel.lines:
            found = simulated[0].values(line.expr, simulated[1])
            # Two days hold no retraining, no late or failed job, and no place that could not reach the service.
            silent = re.search(
                r'job="retrain"|status_waiting_reason|last_failure|== 0\)$|result="failed"|vector\(1\) unless',
                line.expr,
            )
            assert found or silent, f"{panel.title}: {line.expr}"
            for labels, values in found:
                assert pictures.legend(line, labels).strip(" ,"), f"{panel.title}: {line.expr}"
                assert np.isfinite(values).any()


@pytest.mark.system
@needs_prometheus
def test_a_dashboard_is_drawn(simulated: tuple[Tsdb, NDArray[np.int64]], tmp_path: Path) -> None:
    database, times = simulated
    pictures.draw(BOARDS[3], database, times, "simulated", tmp_path / "new" / "a.png")
    with Image.open(tmp_path / "new" / "a.png") as image:
        assert image.width == 1260
        assert len(image.convert("RGB").getcolors(1_000_000) or ()) > 20


def test_every_dashboard_has_its_picture_of_modest_size_and_no_other_is_left() -> None:
    made = {file.stem: file.stat().st_size for file in MADE.glob("*.png")}
    assert made.keys() == {board.id for board in BOARDS}
    assert max(made.values()) < MOST_BYTES


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (0.0134, Unit.RATIO, "1.34 %"),
        (0.25, Unit.SECONDS, "250 ms"),
        (90, Unit.SECONDS, "90 s"),
        (90_000, Unit.SECONDS, "25 h"),
        (864_000, Unit.SECONDS, "10 d"),
        (128_000_000, Unit.BYTES, "128 MB"),
        (5000, Unit.MILLISECONDS, "5,000 ms"),
        (2.5, Unit.PER_SECOND, "2.5/s"),
        (14, Unit.DAYS, "14 d"),
        (12_000, Unit.COUNT, "12,000"),
        (0.2, Unit.COUNT, "0.2"),
    ],
)
def test_a_value_is_written_in_its_unit(value: float, unit: Unit, told: str) -> None:
    assert pictures.written(value, unit) == told


def test_a_legend_takes_the_labels_of_its_series() -> None:
    assert pictures.legend(Line("pod ${pod_name}", "a"), {"pod_name": "x"}) == "pod x"
    assert pictures.legend(Line("plain", "a"), {"pod_name": "x"}) == "plain"


def test_without_prometheus_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    assert command.main(["--to", str(tmp_path)]) == 2
    assert "prometheus" in capsys.readouterr().err


def test_an_unknown_dashboard_is_wrong_use() -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--of", "nonsense"])
    assert ended.value.code == 2


@pytest.mark.system
@needs_prometheus
def test_a_query_that_prometheus_refuses_makes_no_picture(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    wrong = Dashboard("wrong", "Wrong", "Odd?", (Panel("Odd", lines=(Line("odd", "sum("),)),))
    monkeypatch.setattr(command, "dashboards", lambda: (wrong,))
    monkeypatch.setattr(command, "DAYS", 2)
    assert command.main(["--to", str(tmp_path)]) == 1
    assert "no picture: Prometheus refuses 'sum('" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
