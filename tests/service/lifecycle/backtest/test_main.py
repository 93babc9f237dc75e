"""One command replays a source's history, and ends with 1 when a bar is missed."""

import json
import os
from pathlib import Path

import pytest

from service.lifecycle.backtest.__main__ import main
from tests.facts import states

pytestmark = [
    # MLflow's own store, used in this very process, warns of what SQLAlchemy will remove, and of MLflow's own hints.
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning"),
]
EXAMPLES = Path(__file__).parents[4] / "service" / "examples"
SMALL = ["--from", "1000", "--block", "400"]


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    file = tmp_path / "small.toml"
    text = (EXAMPLES / "sample.toml").read_text().replace("rows = 20_000", "rows = 2_300")
    file.write_text(text + '\n[recipe]\ncandidate = "logistic_regression"\n')
    return file


@pytest.mark.slow
def test_a_replay_shows_all_strategies_and_a_missed_bar_ends_it_with_1(
    toml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    asked = ["--bar", "closed.profit>=random.profit", "--bar", "oracle.brier<=0.001"]
    given = ["--source", str(toml), *SMALL, "--out", str(tmp_path / "out"), *asked]
    assert main(given) == 1
    out, err = capsys.readouterr()
    shown = ["closed loop", "never retrained", "call at random", "ROC-AUC", "profit", "MISSED", "figures are in"]
    assert [text for text in shown if text not in out] == []
    assert "block 3 of 3" in err
    document = json.loads((tmp_path / "out" / "replay.json").read_text())
    assert [bar["met"] for bar in document["bars"]] == [True, False]
    assert set(document["strategies"]) == {"closed", "trigger", "always", "never", "oracle"}
    assert all(len(each["blocks"]) == 3 for each in document["strategies"].values())
    page = (tmp_path / "out" / "replay.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert "http:" not in page
    assert "https:" not in page
    pictures = {file.name for file in (tmp_path / "out").glob("*.png")}
    assert pictures == {"brier.png", "calibration_error.png", "roc_auc.png", "profit.png"}


def test_a_bar_on_a_figure_that_there_is_not_ends_with_2_before_anything_is_replayed(
    toml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--source", str(toml), *SMALL, "--bar", "closed.gini<1"])
    assert ended.value.code == 2
    assert "gini" in capsys.readouterr().err


def test_a_folder_with_something_in_it_is_not_written_to(toml: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--source", str(toml), "--out", str(tmp_path)])
    assert ended.value.code == 2


def test_too_few_leads_end_with_2_and_say_how_many_are_needed(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--source", str(toml)]) == 2
    states(capsys.readouterr().err, "2,300 leads", "row 15,000", "blocks of 2,000", "21,000")


@pytest.mark.nightly
@pytest.mark.skipif("BANK_MARKETING_CSV" not in os.environ, reason="BANK_MARKETING_CSV is not set")
def test_on_the_banks_contacts_every_bar_is_met(tmp_path: Path) -> None:
    assert main(["--source", str(EXAMPLES / "bank_marketing.toml"), "--out", str(tmp_path / "out")]) == 0
    bars = json.loads((tmp_path / "out" / "replay.json").read_text())["bars"]
    assert len(bars) == 6
