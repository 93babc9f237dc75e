"""The exports of LEAD_EXPORTS are read as the plain file is, or refused with what to do."""

import pytest

from tests.service.lifecycle.data.exports import fault, folder, names, read

EXPORTS = folder()


@pytest.mark.skipif(EXPORTS is None, reason="LEAD_EXPORTS, the folder with lead exports, is not set")
def test_every_export_has_the_outcome_that_it_should() -> None:
    assert EXPORTS is not None
    plain = read(EXPORTS, "base").frame
    assert plain is not None
    faults = {name: fault(name, read(EXPORTS, name), plain) for name in names(EXPORTS)}
    assert {name: problem for name, problem in faults.items() if problem} == {}


@pytest.mark.skipif(EXPORTS is None, reason="LEAD_EXPORTS, the folder with lead exports, is not set")
@pytest.mark.parametrize(("name", "lost"), [("target_three", "closed lost"), ("target_blank_open", "lost")])
def test_open_leads_are_left_out_where_the_negative_value_is_stated(name: str, lost: str) -> None:
    assert EXPORTS is not None
    plain = read(EXPORTS, "base").leads
    found = read(EXPORTS, name, negative=(lost,)).leads
    assert plain is not None
    assert plain.ids is not None
    assert found is not None
    assert found.ids is not None
    converted = dict(zip(plain.ids, plain.target, strict=True))
    assert (len(found.target), int(found.target.sum())) == (1_500 - (247 if name == "target_three" else 246), 314)
    assert found.target.tolist() == [converted[lead] for lead in found.ids]
