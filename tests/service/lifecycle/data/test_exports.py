"""The exports of LEAD_EXPORTS are read as the plain file is, or refused with what to do."""

import pytest

from tests.service.lifecycle.data.exports import fault, folder, names, read

EXPORTS = folder()


@pytest.mark.skipif(EXPORTS is None, reason="LEAD_EXPORTS, the folder with lead exports, is not set")
def test_every_export_has_the_outcome_that_it_should() -> None:
    assert EXPORTS is not None
    plain = read(EXPORTS, "base").leads
    assert plain is not None
    faults = {name: fault(name, read(EXPORTS, name), plain) for name in names(EXPORTS)}
    assert {name: problem for name, problem in faults.items() if problem} == {}
