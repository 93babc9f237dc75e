"""The lead source that is written of a file says what was found, and nothing that nobody confirmed."""

import csv
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.lifecycle.data.source import UNCONFIRMED, SourceError, load_source
from service.lifecycle.inspection.draft import beside, draft
from service.lifecycle.inspection.survey import Survey, look_at
from tests.facts import states, stating
from tests.service.lifecycle.inspection.exports import surveyed
from tests.service.lifecycle.inspection.test_source_file import TEXTS

NAMES = TEXTS.map(lambda text: " ".join(text.replace("\0", "").split())).filter(bool)


def written(survey: Survey, folder: Path) -> Path:
    toml = folder / "leads.toml"
    toml.write_text(draft(survey, toml), encoding="utf-8")
    return toml


def confirm(toml: Path, conversion_value: float = 900, contact_cost: float = 40) -> Path:
    """Do what the file asks for."""
    text = toml.read_text(encoding="utf-8")
    for key, value in (("conversion_value", conversion_value), ("contact_cost", contact_cost)):
        text = text.replace(f"{UNCONFIRMED}{key} =", f"{key} = {value}")
    toml.write_text(text.replace(UNCONFIRMED, ""), encoding="utf-8")
    return toml


def test_until_a_person_confirms_the_source_is_refused_with_the_keys_to_confirm(tmp_path: Path) -> None:
    toml = written(surveyed(tmp_path), tmp_path)
    keys = ("target_column", "positive", "conversion_value", "contact_cost")
    with pytest.raises(SourceError, match=stating(toml, *keys, "#CONFIRM")):
        load_source(toml)
    source = load_source(confirm(toml))
    assert (source.target_column, source.positive, source.id_column) == ("Stage", ("Closed Won",), "Lead ID")
    assert (source.time_column, source.location) == ("Created", str(tmp_path / "leads.csv"))
    assert (source.economics.conversion_value, source.economics.contact_cost) == (900, 40)
    assert (source.agreed_by, source.metric_reason, source.leaks) == (None, None, ())


def test_guesses_are_marked_with_what_speaks_for_them(tmp_path: Path) -> None:
    text = draft(surveyed(tmp_path), tmp_path / "leads.toml")
    for key, facts in (("target_column", ("'Closed Won' 100", "'Closed Lost' 200")), ("id_column", (300,))):
        found = re.search(rf"^# (Guess: .*)\n(?:{UNCONFIRMED})?{key} =", text, re.MULTILINE)
        assert found
        states(found[1], *facts)


def test_a_column_of_several_choices_is_written_with_its_separator(tmp_path: Path) -> None:
    def interests(row: int, won: str) -> str:
        return ";".join(choice for bit, choice in enumerate("ABC") if row % 8 >> bit & 1)

    toml = written(surveyed(tmp_path, more={'"Interests" (all)': interests}), tmp_path)
    assert load_source(confirm(toml)).separators == {'"Interests" (all)': ";"}


def test_a_likely_leak_is_proposed_and_not_declared(tmp_path: Path) -> None:
    more = {"Contract": lambda row, won: row + 1000 if won == "Closed Won" else 0}
    text = draft(surveyed(tmp_path, more=more), tmp_path / "leads.toml")
    assert '\n# leaks = ["Contract"]' in text


def test_what_training_refuses_stands_at_the_top(tmp_path: Path) -> None:
    more = {"Amount": lambda row, _: f"{row % 900 + 1},{row % 900 + 100}"}
    head = draft(surveyed(tmp_path, more=more), tmp_path / "leads.toml").partition("\n\n")[0]
    states(head, "column 'Amount'", "decimal")


def test_a_source_elsewhere_names_the_whole_path(tmp_path: Path) -> None:
    folder = tmp_path / "else where"
    folder.mkdir()
    source = load_source(confirm(written(surveyed(tmp_path), folder)))
    assert source.location == str(tmp_path / "leads.csv")
    assert beside(tmp_path / "leads.csv.gz") == tmp_path / "leads.toml"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(NAMES, min_size=5, max_size=5, unique_by=lambda name: name.casefold()),
    st.lists(NAMES, min_size=2, max_size=2, unique_by=lambda name: name.casefold()),
    st.floats(1, 1e6),
)
def test_whatever_names_and_values_a_file_has_the_confirmed_source_is_the_proposed_one(
    names: list[str], values: list[str], worth: float
) -> None:
    """Names and values hold quotes, brackets, control characters, hashes, other scripts."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        with (folder / "leads.csv").open("w", newline="", encoding="utf-8") as opened:
            csv.writer(opened, quoting=csv.QUOTE_ALL).writerows(
                [names, *([str(row), f"2024-01-{row % 28 + 1:02}", row % 7, "x", values[row % 2]] for row in range(60))]
            )
        try:
            survey = look_at(folder / "leads.csv")
        except SourceError:  # such as a NUL or two names that are one when trimmed
            return
        proposal = replace(survey.proposal, target=list(survey.columns)[-1], won=(values[0],), lost=())
        survey = replace(survey, proposal=proposal, outcomes=[])
        toml = confirm(written(survey, folder), worth, worth / 2)
        economics = {"conversion_value": worth, "contact_cost": worth / 2}
        assert load_source(toml) == replace(proposal, economics=economics).source(folder)
