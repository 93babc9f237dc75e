"""What is found in a file is printed whole, however narrow the terminal is."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from service.lifecycle.inspection.show import WIDE, show
from service.lifecycle.inspection.survey import Survey, look_at
from tests.facts import states
from tests.service.lifecycle.inspection.exports import surveyed


def shown(survey: Survey, width: int = 120) -> str:
    out = io.StringIO()
    show(survey, Console(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_names_and_ids_are_folded_and_never_cut(tmp_path: Path, width: int) -> None:
    name = "Annual_revenue_of_the_whole_group_in_thousands_of_euros"
    code = "7f9c24e8-3b1a-4d6f-9e2b-5c8d1a0f6b7e"
    text = shown(surveyed(tmp_path, more={name: lambda *_: "1", "Key": lambda *_: code}), width)
    table = text.partition("\n\n")[0].splitlines()[1:]
    assert max(map(len, table)) <= width
    assert _reads_down(table, name)
    assert f"Key: {code}" in text if width < WIDE else _reads_down(table, code)


def _reads_down(lines: list[str], text: str) -> bool:
    """Whether pieces of the lines make the text, each below the one before."""
    for line in lines:
        text = next((text[len(piece) :] for piece in line.split() if text.startswith(piece)), text)
    return not text


def test_markup_and_commands_to_the_terminal_in_a_file_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    text = shown(surveyed(tmp_path, more={"[red]Size\x1b[2J": lambda *_: ":smile: [bold]"}))
    assert "[red]Size" in text
    assert ":smile: [bold]" in text
    assert "\x1b" not in text


def test_kinds_uses_missing_cells_and_examples_are_listed(tmp_path: Path) -> None:
    more = {
        "Revenue": lambda row, _: ("", "n/a")[row % 2] if row % 4 else f"{row + 1}.234,50 €",
        "Note": lambda row, _: f"called number {row} and spoke about the offer",
        "Same": lambda *_: "x",
        "Nothing": lambda *_: "",
    }
    text = shown(surveyed(tmp_path, more=more), 160)
    lines = {line.split("  ")[0].strip(): line for line in text.splitlines()}
    states(lines["Revenue"], "number", "input", "75%", 75)
    states(lines["Lead ID"], "id", "L-00000")
    states(lines["Created"], "time")
    states(lines["Nothing"], "empty", "left out", "100%")
    states(text.splitlines(), "Revenue", "1.234,5 EUR")
    states(text.splitlines(), "Note", "left out", "long text")
    states(text.splitlines(), "Same", "left out", "'x'")


def test_outcome_leaks_duplicates_and_numbers_are_told(tmp_path: Path) -> None:
    more = {"Contract": lambda row, won: row % 9 + 1 if won == "Closed Won" else 0}
    survey = surveyed(tmp_path, more=more)
    text = shown(survey).splitlines()
    states(text, "Stage", "'Closed Lost' 200 (lost)", "'Closed Won' 100 (won)")
    states(text, "Contract", "LIKELY LEAK")
    states(text, 100, 300, "33.3%")
    file = tmp_path / "leads.csv"
    file.write_text(file.read_text() + file.read_text().splitlines()[1] + "\n")
    again = shown(look_at(file)).splitlines()
    states(again, "1 rows repeat")
    states(again, "Lead ID", "1 leads have the id of another")
