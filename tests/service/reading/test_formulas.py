import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.reading.formulas import STARTS, exact, safe
from service.reading.ids import as_id
from tests.service.reading.formula_cells import CELLS

texts = st.text(max_size=12) | st.text(alphabet="'=+-@ \t\r\n\0\ufeff\uff1d1.,a", max_size=6)


@pytest.mark.parametrize(("text", "written"), CELLS)
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str, written: str) -> None:
    assert safe(text) == written


@given(texts)
def test_what_was_made_safe_can_be_read_back(text: str) -> None:
    assert exact(safe(text)) == text


@given(texts)
def test_no_text_that_is_written_begins_a_formula(text: str) -> None:
    written = safe(text)
    first = written.lstrip()[:1]
    number = written[1:].replace(".", "").replace(",", "").isdecimal()
    assert first not in set(STARTS) or (written[0] == "-" and number)
    assert written[:1] not in {"\t", "\r", "\n", "\0"}


@given(texts)
def test_an_id_joins_the_one_in_a_file_for_people(text: str) -> None:
    lead = as_id(text)
    assert as_id(safe(lead)) == lead
