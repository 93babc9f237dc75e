"""Ids are exact text, and spellings of one id join."""

from decimal import Decimal

import pytest

from service.reading.ids import as_id, join_key, spellings


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (1007, "1007"),
        (1007.0, "1007"),
        (Decimal("1007.00"), "1007"),
        ("1007.0", "1007"),
        (" 1007 ", "1007"),
        ('="00Q1"', "00Q1"),
        ("01007", "01007"),
        (123456789012345678, "123456789012345678"),
        ("123456789012345678", "123456789012345678"),
        ("L-7.5", "L-7.5"),
        (None, ""),
        (float("nan"), ""),
        (float("inf"), "inf"),
        (Decimal("-Infinity"), "-Infinity"),
    ],
)
def test_an_id_is_text_as_it_was_meant(written: object, text: str) -> None:
    assert as_id(written) == text


def test_salesforce_ids_of_15_and_18_characters_are_one_lead() -> None:
    # Examples of https://prats23.wordpress.com/2014/03/03/salesforce-15-digit-vs-18-digit-id/ and of
    # https://theblogreaders.com/what-is-the-difference-between-a-15-digit-and-a-18-digit-salesforce-id/
    assert join_key("0019000000B98deAAB") == "0019000000B98de"
    assert join_key("0019000000oC4HkAAK") == join_key("0019000000oC4Hk") == "0019000000oC4Hk"
    assert join_key("0019000000oC4HkAAA") == "0019000000oC4HkAAA"
    assert spellings("0019000000oC4Hk") == {"0019000000oC4Hk", "0019000000oC4HkAAK"}
    assert spellings("1007") == {"1007"}
