"""The figures' bars, and what the command says and ends with; test_scoring_image.py and test_jobs_image.py measure."""

import pytest

from tests.benchmarks import image
from tests.benchmarks.image import Figures
from tests.containers.engine import Unavailable


@pytest.mark.parametrize(
    ("found", "met"),
    [
        (Figures(330, 1000, 0.6, 2.5), (True, True, True)),
        (Figures(331, 1000, 0.6, 2.5), (False, True, True)),
        (Figures(330, 1000, 0.61, 2.5), (True, False, True)),
        (Figures(330, 1000, 0.6, 2.51), (True, True, False)),
    ],
)
def test_each_figure_has_its_bar(found: Figures, met: tuple[bool, ...]) -> None:
    assert tuple(kept for _, kept in found.lines()) == met


def test_a_missed_bar_is_an_exit_status(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(image, "measure", lambda: Figures(200.4, 900, 0.35, 1.234))
    assert image.main([]) == 0
    assert capsys.readouterr().out == (
        "scoring image over its base: 200 MB, at most 330: met\n"
        "its part of the jobs image's 900 MB: 35%, at most 60%: met\n"
        "container start to first score: 1.23 s, at most 2.5: met\n"
    )
    monkeypatch.setattr(image, "OVER_BASE_MB", 200.0)
    assert image.main([]) == 1
    assert "scoring image over its base: 200 MB, at most 200: MISSED" in capsys.readouterr().out


def test_where_no_engine_runs_that_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def unavailable() -> Figures:
        raise Unavailable("no dockerd on this machine")

    monkeypatch.setattr(image, "measure", unavailable)
    assert image.main([]) == 1
    assert "no dockerd on this machine" in capsys.readouterr().err
