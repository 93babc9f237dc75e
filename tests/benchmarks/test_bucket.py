import json
from pathlib import Path

import pytest

from tests.benchmarks import bucket
from tests.benchmarks.bucket import BARRED, LEAST, Speed


@pytest.mark.parametrize(("rate", "status"), [(LEAST, 0), (LEAST - 1, 1)])
def test_a_missed_bar_is_an_exit_status(
    rate: float, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "measure", lambda *_: {BARRED: Speed(rate, 2.0)})
    assert bucket.main(["--json", str(tmp_path / "figures.json")]) == status
    assert json.loads((tmp_path / "figures.json").read_text())["speeds"][BARRED]["rows_per_second"] == rate


@pytest.mark.nightly
def test_a_small_run_scores_every_form_from_folder_and_bucket(tmp_path: Path) -> None:
    speeds = bucket.measure(tmp_path, rows=2_000, rounds=1, threads=2, delay_ms=1, tell=lambda _: None)
    assert len(speeds) == 6
    assert min(speed.rows_per_second for speed in speeds.values()) > 0
