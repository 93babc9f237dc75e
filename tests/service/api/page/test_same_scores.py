"""The page, scripts/score, the batch job and the API give a row of an export one score."""

from collections.abc import Sequence

import pytest

from tests.service.api.page.same_scores import FEW, NAMES, Compared, compare_all, difference
from tests.service.lifecycle.data.exports import folder

EXPORTS = folder()
needs_exports = pytest.mark.skipif(EXPORTS is None, reason="LEAD_EXPORTS, the folder with lead exports, is not set")


def faults(names: Sequence[str]) -> list[Compared]:
    assert EXPORTS is not None
    return [each for each in compare_all(EXPORTS, names) if not each.same]


@pytest.mark.system
@needs_exports
def test_a_few_exports_get_the_same_scores_everywhere() -> None:
    assert faults(FEW) == []


@pytest.mark.system
@pytest.mark.nightly
@needs_exports
def test_all_chosen_exports_get_the_same_scores_everywhere() -> None:
    assert len(NAMES) >= 20
    assert faults(NAMES) == []


def test_a_score_or_a_row_that_differs_is_told() -> None:
    scores = [("L1", 0.5), ("L2", 0.25)]
    assert difference(scores, scores[::-1]) == "yes"
    assert difference(scores, [("L1", 0.5), ("L2", 0.2500001)]).startswith("no: L2")
    assert difference(scores, scores[:1]).startswith("no: 1 rows")
