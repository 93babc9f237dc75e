"""A written lead source has every key of the template, and says what it was told to say."""

import re
import tomllib
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from service.lifecycle.data.source import UNCONFIRMED, Source
from service.lifecycle.inspection.source_file import TEMPLATE, Entry, value_text, write

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.one_of(TEXTS, st.booleans(), st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False))


def keys(text: str) -> Iterator[str]:
    """The keys of a lead source, those in comments too, in their order."""
    table = ""
    for line in text.partition("\n\n")[2].splitlines():
        if found := re.match(r"(?:# ?)?\[(\w+)\]", line):
            table = f"{found[1]}."
        elif found := re.match(rf"(?:{UNCONFIRMED}|# ?)?([a-z]\w*) *=", line):
            yield table + found[1]


@given(st.one_of(VALUES, st.lists(VALUES, max_size=3)))
def test_a_value_is_read_back(value: object) -> None:
    assert tomllib.loads(f"key = {value_text(value)}")["key"] == value


def test_every_key_of_the_template_is_written_and_no_example_becomes_a_statement() -> None:
    template = TEMPLATE.read_text()
    written = write({"name": Entry("crm"), "economics.contact_cost": Entry(3)}, ["a head"])
    assert list(keys(written)) == list(keys(template))
    assert {key.partition(".")[0] for key in keys(written)} >= set(Source.model_fields) - {"sample"}
    assert tomllib.loads(written) == {"name": "crm", "economics": {"contact_cost": 3}}


@given(st.dictionaries(st.sampled_from(["name", "path", "sheet", "leaks", "economics.contact_cost"]), VALUES), TEXTS)
def test_values_and_evidence_with_any_characters_are_read_back(values: dict[str, object], evidence: str) -> None:
    written = write({key: Entry(value, evidence) for key, value in values.items()}, [])
    document = tomllib.loads(written)
    flat = {
        f"{key}.{inner}": v for key, held in document.items() if isinstance(held, dict) for inner, v in held.items()
    }
    assert {**{k: v for k, v in document.items() if not isinstance(v, dict)}, **flat} == values


def test_a_key_to_confirm_is_there_when_the_word_is_removed() -> None:
    written = write({"name": Entry("crm", confirmed=False), "economics.contact_cost": Entry(None, confirmed=False)}, [])
    assert tomllib.loads(written) == {"economics": {}}
    confirmed = written.replace(f"{UNCONFIRMED}contact_cost =", "contact_cost = 4").replace(UNCONFIRMED, "")
    assert tomllib.loads(confirmed) == {"name": "crm", "economics": {"contact_cost": 4}}
