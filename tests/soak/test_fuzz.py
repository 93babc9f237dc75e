import json
from pathlib import Path

import pytest

from tests.soak import fuzz


@pytest.mark.slow
def test_generated_requests_meet_no_5xx_and_only_described_answers(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = fuzz.main(["--requests", "500", "--seed", "7", "--json", str(tmp_path / "fuzz.json")])
    figures = json.loads((tmp_path / "fuzz.json").read_text())
    assert (code, figures["passed"]) == (0, True), capfd.readouterr().out
    assert figures["requests"] >= 500
    assert {"200", "400", "415", "422"} <= figures["statuses"].keys()


@pytest.mark.slow
def test_an_answer_that_is_not_described_ends_it_with_1(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The service here takes more leads than it explains, which no schema can say: a legal request is refused.
    monkeypatch.setattr(fuzz, "LEADS", 1_000)
    assert fuzz.main(["--requests", "200", "--seed", "7"]) == 1
    assert "Schema-valid request rejected" in capfd.readouterr().out


def test_too_few_requests_to_show_anything_are_refused() -> None:
    with pytest.raises(SystemExit) as ended:
        fuzz.main(["--requests", "1"])
    assert ended.value.code == 2
