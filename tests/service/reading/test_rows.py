import pytest

from service.reading.rows import below_the_table

LEADS = [["00Q5g1", "retail", "north"], ["00Q5g2", "health", ""]]


@pytest.mark.parametrize("last", ["00Q5g3", "77Zx91", "10Q44g5"])
def test_a_lead_of_which_only_the_id_is_known_stays_at_the_end(last: str) -> None:
    assert below_the_table([*LEADS, [last, "", None]]) == 0


@pytest.mark.parametrize("last", ["Confidential", "Page 1 of 1", "2026-11-30", "Copyright 2026 Example Inc.", "3"])
def test_a_lone_text_unlike_the_ids_above_it_is_no_lead(last: str) -> None:
    assert below_the_table([*LEADS, [last, "", None]]) == 1


def test_a_lone_code_in_a_column_of_words_is_no_lead() -> None:
    assert below_the_table([["1", "retail", "north"], ["2", "health", ""], ["", "R2D2-1", ""]]) == 1


def test_leads_of_which_only_ids_are_known_all_stay() -> None:
    assert below_the_table([[str(number), "", ""] for number in range(95, 105)]) == 0


def test_a_total_ends_the_table_under_leads_of_which_only_ids_are_known() -> None:
    assert below_the_table([["1", "", ""], ["2", "", ""], ["Total", "2", ""], ["", "", "Confidential"]]) == 2


def test_a_very_long_cell_at_the_end_is_no_word_for_a_sum() -> None:
    assert below_the_table([*LEADS, ["1 " * 100_000 + "x", "2", ""]]) == 0
