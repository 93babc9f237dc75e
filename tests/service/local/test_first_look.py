"""scripts/up on a bare file of leads asks at a terminal, and says elsewhere what a person has to do."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from service.lifecycle.data.source import SourceError, load_source
from service.local.first_look import NotDecided, lead_source
from service.local.up import main
from tests.facts import states, stating
from tests.service.lifecycle.inspection.exports import export


class Keyboard(io.StringIO):
    """What a person types at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Console]:
    """A terminal at which these lines are typed."""

    def typed(*lines: str) -> Console:
        monkeypatch.setattr("sys.stdin", Keyboard("".join(f"{line}\n" for line in lines)))
        return Console(file=io.StringIO(), force_terminal=True, width=120)

    return typed


def test_at_a_terminal_the_answers_make_the_lead_source(tmp_path: Path, typing: Callable[..., Console]) -> None:
    toml = lead_source(export(tmp_path), typing("", "", "900", "40", ""))
    assert toml == tmp_path / "leads.toml"
    source = load_source(toml)
    assert (source.target_column, source.positive, source.economics.contact_cost) == ("Stage", ("Closed Won",), 40)


def test_the_lead_source_that_is_there_is_used(tmp_path: Path, typing: Callable[..., Console]) -> None:
    file = export(tmp_path)
    (tmp_path / "leads.toml").write_text("mine")
    assert lead_source(file, typing()) == tmp_path / "leads.toml"
    assert (tmp_path / "leads.toml").read_text() == "mine"


def test_without_answers_nothing_is_written(tmp_path: Path, typing: Callable[..., Console]) -> None:
    with pytest.raises(NotDecided):
        lead_source(export(tmp_path), typing("", ""))
    assert [file.name for file in tmp_path.iterdir()] == ["leads.csv"]


def test_leads_that_training_would_refuse_are_not_asked_about(tmp_path: Path, typing: Callable[..., Console]) -> None:
    with pytest.raises(NotDecided, match=stating(tmp_path / "leads.toml")):
        lead_source(export(tmp_path, rows=60), typing("", "", "900", "40", ""))


@pytest.fixture
def signals_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command would handle the signals of the tests' own process."""
    monkeypatch.setattr("service.local.up.stop_on_signals", lambda: None)


@pytest.mark.usefixtures("signals_left_alone")
def test_without_a_terminal_it_says_what_to_do_and_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = export(tmp_path)
    assert main(["--source", str(file), "--folder", str(tmp_path / "platform")]) == 2
    states(capsys.readouterr().err, tmp_path / "leads.toml", "scripts/up --source")
    with pytest.raises(SourceError, match="CONFIRM"):
        load_source(tmp_path / "leads.toml")
    assert main(["--source", str(file), "--folder", str(tmp_path / "platform")]) == 2
    states(capsys.readouterr().err, "target_column", "#CONFIRM")
    assert not (tmp_path / "platform").exists()


@pytest.mark.usefixtures("signals_left_alone")
def test_a_file_that_cannot_be_read_is_refused_as_training_refuses_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--source", str(tmp_path / "no.csv")]) == 2
    states(capsys.readouterr().err, tmp_path / "no.csv", "cannot be read")
