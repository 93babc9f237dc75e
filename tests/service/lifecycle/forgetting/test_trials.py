from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from service.lifecycle.forgetting.trials import Trials

LEAD = {"id": "b", "Visits": "1.234,5", "since": 3, "opted in": "ja", "industry": " Retail ", "region": "", "note": "x"}
FULL: dict[str, Any] = {"visits": 1234.5, "since": 3.0, "opted in": True, "industry": "retail", "region": "north"}
SAME: dict[str, Any] = {"visits": 1234.5, "since": 3.0, "opted in": True, "industry": "retail"}


def record(inputs: dict[str, Any], version: str = "v", time: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    return {"lead_id": "page-1", "model_version": version, "time": time, "inputs": inputs}


def learnt(*rows: dict[str, Any], older_than: datetime | None = None, absent: tuple[str, ...] = ()) -> Trials:
    trials = Trials(older_than, absent)
    trials.see(record(FULL))
    for row in rows:
        trials.learn("b", row)
    trials.learning = False
    return trials


def test_a_trial_with_the_leads_own_values_is_the_leads_however_a_file_spells_them() -> None:
    assert learnt(LEAD).matches(record(SAME))


@pytest.mark.parametrize(
    "other",
    [
        SAME | {"visits": 1234.0},
        SAME | {"opted in": False},
        SAME | {"industry": "health"},
        SAME | {"region": "north"},
        {name: value for name, value in SAME.items() if name != "since"},
        SAME | {"a new field": 1.0},
        {},
    ],
    ids=["number", "boolean", "text", "filled", "emptied", "unknown", "nothing"],
)
def test_a_trial_that_differs_in_a_field_is_another_leads(other: dict[str, Any]) -> None:
    assert not learnt(LEAD).matches(record(other))


def test_values_of_two_rows_are_not_mixed() -> None:
    rows = ({"visits": 1, "industry": "a"}, {"visits": 2, "industry": "b"})
    assert learnt(*rows).matches(record({"visits": 2.0, "industry": "b"}))
    assert not learnt(*rows).matches(record({"visits": 2.0, "industry": "a"}))


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1,234.50", 1234.5),
        ("1'234.50", 1234.5),
        ("(12 %)", -12.0),
        ("€ 1 234", 1234.0),
        (Decimal("7.10"), 7.1),
        (1, True),
        ("no", False),
        (False, False),
        (2.0, "2"),
        ("007", "007"),
    ],
)
def test_a_cell_is_compared_with_the_type_that_the_record_has(cell: object, value: object) -> None:
    assert learnt({"x": cell}).matches(record({"x": value}, "w"))
    assert not learnt({"x": cell}).matches(record({"x": "another"}, "w"))


@pytest.mark.parametrize("nothing", ["", " ", "n/a", "-", None, float("nan"), "never said"])
def test_a_mark_for_no_value_is_a_missing_field(nothing: object) -> None:
    trials = learnt({"visits": 1, "region": nothing}, absent=("Never Said",))
    assert trials.matches(record({"visits": 1.0}))


def test_fields_of_another_models_version_do_not_count() -> None:
    trials = learnt({"visits": 1, "region": "north"})
    assert not trials.matches(record({"visits": 1.0}))
    assert trials.matches(record({"visits": 1.0}, "a version with one field"))


def test_old_trials_go_whatever_they_hold_and_young_ones_stay() -> None:
    trials = learnt(older_than=datetime(2026, 1, 2, tzinfo=UTC))
    assert trials.matches(record(FULL))
    assert not trials.matches(record(FULL, time="2026-01-02T00:00:00Z"))


def test_nothing_matches_before_all_is_learnt() -> None:
    trials = learnt(LEAD)
    trials.learning = True
    assert not trials.matches(record(SAME))


def test_leads_whose_values_are_nowhere_are_named() -> None:
    trials = learnt({"id": "b", "won": "yes"})
    assert trials.without_values(["b"]) == ["b"]
    assert learnt(LEAD).without_values(["b", "c"]) == ["c"]
