from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from service.records import PredictionRecord
from tests.soak.bars import FLAT, Limit, growth, judge
from tests.soak.load import Ledger

FLAT_MEMORY = [80.0] * 40
TOLD = {"1-0": (0.5, "soak-0"), "1-1": (0.25, "soak-1")}


def record(lead: str, score: float, version: str) -> PredictionRecord[Any]:
    return PredictionRecord(
        request_id="r",
        lead_id=lead,
        time=datetime.now(UTC),
        model_version=version,
        inputs={},
        score=score,
        decision="contact",
        band="A",
        latency_ms=1.0,
    )


def missed(
    told: Mapping[str, tuple[float, str]] = TOLD,
    kept: list[tuple[str, float, str]] | None = None,
    memory: list[float] = FLAT_MEMORY,
    **ledger: Any,
) -> list[str]:
    rows = [(lead, *about) for lead, about in TOLD.items()] if kept is None else kept
    bars: list[Limit] = judge(Ledger(acknowledged=dict(told), **ledger), [record(*row) for row in rows], memory, 2)
    return [bar.name for bar in bars if not bar.met]


def test_a_soak_in_which_all_is_well_meets_all_bars() -> None:
    assert missed() == []


def test_a_record_of_a_request_that_was_never_acknowledged_is_no_fault() -> None:
    assert missed(kept=[*((lead, *about) for lead, about in TOLD.items()), ("2-0", 0.1, "soak-0")]) == []


@pytest.mark.parametrize(
    ("given", "bar"),
    [
        ({"errors": ["503"]}, "errors other than of killed connections"),
        ({"wrong": ["1-0"]}, "scores other than of the version named"),
        ({"kept": [("1-0", 0.5, "soak-0")]}, "acknowledged scores without a record"),
        (
            {"kept": [("1-0", 0.5, "soak-0"), ("1-1", 0.25, "soak-0")]},
            "records that differ from the answer, or are doubled",
        ),
        (
            {"kept": [("1-0", 0.5, "soak-0"), ("1-1", 0.25, "soak-1"), ("1-0", 0.5, "soak-0")]},
            "records that differ from the answer, or are doubled",
        ),
        ({"told": {"1-0": (0.5, "soak-0")}}, "versions that answered"),
        ({"memory": [80.0] * 20 + [90.0] * 20}, "memory, last quarter : second quarter"),
        ({"memory": []}, "memory, last quarter : second quarter"),
    ],
)
def test_each_fault_misses_its_bar(given: dict[str, Any], bar: str) -> None:
    assert missed(**given) == [bar]


def test_growth_leaves_the_warm_up_out() -> None:
    assert growth([10.0] * 10 + [80.0] * 30) == 1.0
    assert growth([80.0] * 20 + [80.0 * FLAT] * 20) == pytest.approx(FLAT)
