"""One cell of text is read as it was meant, or not at all."""

import pytest

from service.model.spelling import BLANKS, PLAIN, WHOLE, NumberSpelling, clean, fold, is_nothing, split, truth

GERMAN = NumberSpelling(decimal=",", grouping=".")


@pytest.mark.parametrize(
    ("spelling", "text", "number"),
    [
        (PLAIN, "-1234.5", -1234.5),
        (PLAIN, "\u22121234.5", -1234.5),
        (PLAIN, "1.5e3", 1500),
        (NumberSpelling(grouping=","), "1,234.50", 1234.5),
        (NumberSpelling(grouping=","), "(1,234.50)", -1234.5),
        (NumberSpelling(grouping=",", unit="USD"), "-$1,234.50", -1234.5),
        (NumberSpelling(grouping=",", unit="USD"), "US$ 1,234.50", 1234.5),
        (NumberSpelling(decimal=",", grouping=".", unit="EUR"), "1.234,50\u00a0€", 1234.5),
        (NumberSpelling(grouping="'", unit="CHF"), "CHF 1\u2019234.50", 1234.5),
        (NumberSpelling(decimal=",", grouping=" "), "1\u202f234\u00a0567,5", 1234567.5),
        (NumberSpelling(unit="%"), "12 %", 12),
        (GERMAN, "1234,5-", -1234.5),
        (GERMAN, ",5", 0.5),
        (WHOLE, "1158", 1158),
        (WHOLE, "-12.0", -12),
        (WHOLE, "1.5", 1.5),
        (WHOLE, "0.158", 0.158),
        (WHOLE, "1234.567", 1234.567),
        (PLAIN, "1.158", 1.158),
    ],
)
def test_a_number_is_read_in_its_spelling(spelling: NumberSpelling, text: str, number: float) -> None:
    assert spelling.number(text) == number


@pytest.mark.parametrize(
    ("spelling", "text"),
    [
        (PLAIN, "1,5"),
        (GERMAN, "12.5"),
        (WHOLE, "1.158"),
        (WHOLE, "-12,158"),
        (NumberSpelling(unit="EUR", whole=True), "1.158 EUR"),
        (GERMAN, "0.500"),
        (GERMAN, "1234.567"),
        (NumberSpelling(grouping=","), "12,34.5"),
        (NumberSpelling(unit="EUR"), "$5"),
        (NumberSpelling(unit="%"), "5"),
        (PLAIN, "(5"),
        (PLAIN, "-(5)"),
        (PLAIN, "1e999"),
        (PLAIN, "5 kg"),
        (PLAIN, "1.2.2024"),
        (PLAIN, ""),
    ],
)
def test_a_number_in_another_spelling_is_none(spelling: NumberSpelling, text: str) -> None:
    assert spelling.number(text) is None


def test_what_is_no_number_has_no_parts() -> None:
    assert [text for text in ("abc", "12abc", "5 € $", "%5", "--5", "") if split(text)] == []


def test_blanks_and_case_make_no_difference() -> None:
    assert clean(" Trade\u00a0 Show\u200b\n") == "Trade Show"
    assert fold("STRASSE") == fold(" Straße ")
    assert clean("u\u0308") == "ü"


def test_words_for_yes_no_and_nothing_are_known_in_several_languages() -> None:
    assert [truth(word) for word in ("Ja", "OUI", "x", "nein", "Falsch", "perhaps")] == [
        True, True, None, False, False, None,
    ]  # fmt: skip
    assert [is_nothing(mark) for mark in ("NULL", "#N/A", "k. A.", " ", "-", "NA", "unknown")] == [True] * 5 + [
        False
    ] * 2
    assert is_nothing("NA", among_numbers=True)


def test_all_that_python_takes_for_a_blank_is_known() -> None:
    assert sorted(BLANKS) == [character for code in range(0x110000) if (character := chr(code)).isspace()]
    assert clean("a\x0bb\x1cc\0") == clean(" a  b\u3000c ") == "a b c"
