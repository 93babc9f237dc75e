import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from service.model.bundle import Bundle, Economics, load
from service.model.reasons import Explainer, Input
from service.model.reference import Numbers
from service.model.schema import Value
from service.model.words import MAX_SENTENCE, TYPICAL, Wording, label
from service.storage import open_storage
from tests.service import forge


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    models = open_storage(str(tmp_path_factory.mktemp("words")))
    return load(models, forge.release(models, version="v1"))


@pytest.fixture(scope="module")
def wording(bundle: Bundle) -> Wording:
    return Wording(bundle.engine, bundle.manifest.lead_schema, bundle.reference)


def said(bundle: Bundle, wording: Wording, lead: dict[str, Value], written: dict[str, str] | None = None) -> list[str]:
    parsed = bundle.engine.parse(json.dumps([lead]).encode())
    explainer = Explainer(bundle.engine, bundle.manifest.encoding, bundle.manifest.lead_schema, bundle.reference)
    (reasons,) = explainer.reasons(parsed, bundle.engine.score(parsed))
    return wording.say(reasons, parsed[0], written)


@pytest.mark.parametrize(
    ("name", "value", "raises", "sentence"),
    [
        ("visits", 12.0, True, "Visits is 12: more than most, raises the score"),
        ("visits", 0.0, False, "Visits is 0: less than most, lowers the score"),
        ("visits", 5.0, True, "Visits is 5: in the middle range, raises the score"),
        ("visits", None, False, "Visits is missing: lowers the score"),
        ("days.since contact", 999.0, False, "Days since contact is missing: lowers the score"),
        ("opted_in", True, True, "Opted in is yes: raises the score"),
        ("opted_in", False, False, "Opted in is no: lowers the score"),
        ("industry", "health", True, "Industry is health: raises the score"),
        ("industry", " HEALTH ", True, "Industry is HEALTH: raises the score"),
        ("industry", "unknown", False, "Industry is missing: lowers the score"),
        ("industry", "n/a", False, "Industry is missing: lowers the score"),
        ("industry", "mining", False, "Industry is mining: rare or new, lowers the score"),
    ],
)
def test_a_reason_is_a_sentence(wording: Wording, name: str, value: Value, raises: bool, sentence: str) -> None:
    assert wording.sentence(Input(name), value, raises) == sentence


def test_a_column_of_two_numbers_has_no_middle_range(bundle: Bundle) -> None:
    flag = Numbers(name="visits", edges=(0.5,), means=(0.0, 1.0), counts=(172, 128), missing=0)
    reference = bundle.reference.model_copy(update={"features": (flag,)})
    wording = Wording(bundle.engine, bundle.manifest.lead_schema, reference)
    assert wording.sentence(Input("visits"), 1.0, True) == "Visits is 1: raises the score"


def test_a_point_within_a_columns_name_is_a_blank_and_one_after_a_word_stays() -> None:
    assert label("emp.var_rate") == "Emp var rate"
    assert label("No. of Employees") == "No. of Employees"


def test_the_cell_is_quoted_as_the_file_has_it(wording: Wording) -> None:
    assert wording.sentence(Input("visits"), 1234.5, True, "1.234,50 €").startswith(
        "Visits is 1.234,50 €: more than most"
    )
    assert wording.sentence(Input("opted_in"), True, True, "Ja") == "Opted in is Ja: raises the score"
    assert wording.sentence(Input("visits"), None, True, "n/a") == "Visits is missing: raises the score"


def test_at_most_three_reasons_are_said_and_the_strongest_comes_first(bundle: Bundle, wording: Wording) -> None:
    lead: dict[str, Value] = {**forge.LEAD, "visits": 14, "industry": "health"}  # type: ignore[dict-item]
    found = said(bundle, wording, lead, {"visits": "14 times"})
    assert len(found) == 3
    assert found[0] == "Visits is 14 times: more than most, raises the score"
    typical: dict[str, Value] = {
        "visits": 4.96,
        "days.since contact": 11.8,
        "opted_in": False,
        "industry": "retail",
        "region": "north",
    }
    few = said(bundle, wording, typical)
    assert len(few) <= 3
    assert wording.say([], bundle.engine.parse(b"[{}]")[0]) == [TYPICAL]


@given(
    name=st.sampled_from([f.name for f in forge.SCHEMA.features if f.kind == "category"]),
    text=st.text(),
    raises=st.booleans(),
)
def test_a_sentence_is_one_line_of_bounded_length_whatever_the_cell_holds(
    wording: Wording, name: str, text: str, raises: bool
) -> None:
    sentence = wording.sentence(Input(name), text, raises, text * 20)
    assert sentence == wording.sentence(Input(name), text, raises, text * 20)
    assert len(sentence) <= MAX_SENTENCE
    assert sentence.isprintable()
    assert sentence.endswith("raises the score" if raises else "lowers the score")


def test_the_expected_value_is_the_score_times_the_worth_less_the_cost() -> None:
    money = Economics(conversion_value=900, contact_cost=40)
    assert money.expected_value(0.25) == 185
    assert money.expected_value(money.threshold) == pytest.approx(0)
