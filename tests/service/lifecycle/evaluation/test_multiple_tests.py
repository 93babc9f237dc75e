import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.lifecycle.evaluation.multiple_tests import holm


def test_adjusted_p_values_are_those_of_the_published_procedure() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]).tolist() == [1, 1]
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), max_size=20), st.floats(0.001, 0.5))
def test_the_findings_are_those_of_the_step_down(p_values: list[float], level: float) -> None:
    found = set()
    for place, test in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[test] * (len(p_values) - place) > level:
            break
        found.add(int(test))
    assert {*np.flatnonzero(holm(p_values) <= level)} == found
