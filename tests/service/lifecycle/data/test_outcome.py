"""The outcome of each lead is the one that its cell means, however written; a cell that means neither is named."""

from typing import Any

import pytest

from service.lifecycle.data.source import SourceError
from tests.facts import stating
from tests.service.lifecycle.data.crm import Loads, cycle


@pytest.mark.parametrize(
    ("outcomes", "positive"),
    [
        (["yes", "no"], "yes"),
        ([1, 0], 1),
        ([1.0, 0.0], 1),
        ([True, False], True),
        (["TRUE", "FALSE"], True),
        (["YES", "No"], "yes"),
    ],
)
@pytest.mark.parametrize("file", ["csv", "parquet"])
def test_the_positive_value_is_known_however_it_is_written(
    loads: Loads, outcomes: list[Any], positive: Any, file: str
) -> None:
    leads = loads({"won": cycle(*outcomes), "x": cycle(1, 2, 3)}, file=file, positive=positive)
    assert leads.target.tolist() == cycle(1, 0)


@pytest.mark.parametrize(
    ("outcomes", "facts"),
    [
        (cycle("yes", "no", "maybe"), ["row 4", "'maybe'", "third", "'yes'", "'no'"]),
        (cycle("yes", "no", None), ["row 4", "missing", 66, 200]),
        (cycle("yes", "YES"), ["'yes'", "only"]),
        (cycle("no", "not yet"), ["positive", "'yes'", "never", "'no'", "'not yet'"]),
    ],
)
def test_a_target_that_is_no_outcome_is_refused(loads: Loads, outcomes: list[Any], facts: list[Any]) -> None:
    with pytest.raises(SourceError, match=stating("'won'", *facts)):
        loads({"won": outcomes, "x": cycle(1, 2, 3)})
