import json
from pathlib import Path
from typing import Any

import pytest

from service.model.bundle import Bundle
from tests.soak import __main__ as soak
from tests.soak import limits, versions

SHORT = ["--minutes", "0.5", "--swap", "4", "--kill", "12", "--rate", "60"]


@pytest.mark.slow
def test_half_a_minute_of_load_with_swaps_and_kills_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is mostly warm-up, and other tests take the machine meanwhile: that memory is flat is the long form's.
    monkeypatch.setattr(limits, "FLAT", 2.0)
    code = soak.main([*SHORT, "--json", str(tmp_path / "soak.json")])
    figures: dict[str, Any] = json.loads((tmp_path / "soak.json").read_text())
    assert (code, figures["passed"]) == (0, True), capsys.readouterr().out
    assert figures["kills"] >= 1
    assert figures["swaps"] >= 3
    assert figures["outcomes"]["answered with 200"] > 100


@pytest.mark.slow
def test_a_score_that_is_not_the_versions_own_ends_it_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def exchanged(models: Any, count: int) -> list[tuple[Any, Bundle]]:
        made = published(models, count)
        pointers, bundles = zip(*made, strict=True)
        monkeypatch.setattr(bundles[0].engine, "score", bundles[1].engine.score)
        return list(zip(pointers, bundles, strict=True))

    published = versions.publish
    monkeypatch.setattr(versions, "publish", exchanged)
    assert soak.main(["--minutes", "0.2", "--swap", "3", "--kill", "6", "--rate", "30"]) == 1
    said = capsys.readouterr().out
    assert "soak-0 says" in said
    assert "MISSED" in said


@pytest.mark.parametrize("wrong", [["--minutes", "0.2"], ["--swap", "0"], ["--rate", "0"], ["--kill", "1"]])
def test_a_run_that_could_show_nothing_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        soak.main(wrong)
    assert ended.value.code == 2
