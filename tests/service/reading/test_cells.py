import pytest

from service.model.schema import Feature, Value
from service.model.spelling import WHOLE, NumberSpelling
from service.reading.cells import UnreadableCell, read_cell
from service.reading.describe import missing, written

PLAIN = Feature(name="n", kind="number", missing=("keine", 999.0))
EURO = Feature(name="n", kind="number", spelling=NumberSpelling(decimal=",", grouping=".", unit="EUR"))
COUNT = Feature(name="n", kind="number", spelling=WHOLE)
ANSWER = Feature(name="b", kind="boolean", missing=("offen",))
TEXT = Feature(name="c", kind="category", missing=("unknown",))


@pytest.mark.parametrize(
    ("cell", "feature", "value"),
    [
        ("12.5", PLAIN, 12.5),
        (" keine ", PLAIN, None),
        ("999", PLAIN, 999.0),  # the engine makes it missing, and the record keeps it
        ("n/a", PLAIN, None),
        ("1.234,50 €", EURO, 1234.5),
        ("\u2212 3", EURO, -3.0),
        ("1234", COUNT, 1234.0),
        (7, PLAIN, 7.0),
        ("Ja", ANSWER, True),
        (0, ANSWER, False),
        ("offen", ANSWER, None),
        ("unbekannt", ANSWER, None),
        (" A  B ", TEXT, "A B"),
        ("unknown", TEXT, "unknown"),
        (5.0, TEXT, "5"),
        ("", TEXT, None),
        (None, TEXT, None),
    ],
)
def test_a_cell_is_read_by_its_field(cell: object, feature: Feature, value: Value) -> None:
    assert read_cell(cell, feature) == value


@pytest.mark.parametrize(
    ("cell", "feature", "said"),
    [
        ("12,5", PLAIN, "'12,5' is no number"),
        (True, PLAIN, "'True' is no number"),
        (10**400, PLAIN, "is no number"),
        ("1e101", PLAIN, "is no number"),
        ("12 USD", EURO, "is no number"),
        ("1.234", COUNT, "decimal mark or one between thousands"),
        ("maybe", ANSWER, "is neither true nor false"),
        ("x" * 1_001, TEXT, "is longer than 1000 characters"),
    ],
)
def test_a_cell_of_another_kind_is_refused_with_the_reason(cell: object, feature: Feature, said: str) -> None:
    with pytest.raises(UnreadableCell, match=said):
        read_cell(cell, feature)


def test_a_very_long_cell_is_refused_in_linear_time() -> None:
    with pytest.raises(UnreadableCell):
        read_cell("1" * 1_000_000 + "x", PLAIN)  # in quadratic time: hours


def test_what_is_written_about_a_field_is_read_as_it_says() -> None:
    assert "1.234,5 EUR" in written(EURO)
    assert read_cell("1.234,5 EUR", EURO) == 1234.5
    assert "1.234 and 1,234 are refused" in written(COUNT)
    assert "unknown" in missing(TEXT)
    assert "'keine', 999" in missing(PLAIN)
    yes, no = written(ANSWER).removeprefix("yes or no, in any case: ").split("; or ")
    assert {read_cell(word, ANSWER) for word in yes.split(", ")} == {True}
    assert {read_cell(word, ANSWER) for word in no.split(", ")} == {False}
    for feature in (PLAIN, ANSWER):
        marks = missing(feature).partition(" and ")[0].split(", ")
        assert {read_cell(mark.strip("'"), feature) for mark in marks if mark != "999"} == {None}
