from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from service.records import PredictionRecord
from tests.soak.limits import FLAT, Limit, growth, judge
from tests.soak.load import Ledger

FLAT_MEMORY = [80.0] * 40
ACKNOWLEDGED = {"1-0": (0.5, "soak-0"), "1-1": (0.25, "soak-1")}


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
    acknowledged: Mapping[str, tuple[float, str]] = ACKNOWLEDGED,
    kept: list[tuple[str, float, str]] | None = None,
    memory: list[float] = FLAT_MEMORY,
    **ledger: Any,
) -> list[str]:
    rows = [(lead, *about) for lead, about in ACKNOWLEDGED.items()] if kept is None else kept
    limits: list[Limit] = judge(
        Ledger(acknowledged=dict(acknowledged), **ledger), [record(*row) for row in rows], memory, 2
    )
    return [limit.name for limit in limits if not limit.met]


def test_a_soak_in_which_all_is_well_meets_all_limits() -> None:
    assert missed() == []


def test_a_record_of_a_request_that_was_never_acknowledged_is_no_fault() -> None:
    assert missed(kept=[*((lead, *about) for lead, about in ACKNOWLEDGED.items()), ("2-0", 0.1, "soak-0")]) == []


@pytest.mark.parametrize(
    ("soak", "limit"),
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
        ({"acknowledged": {"1-0": (0.5, "soak-0")}}, "versions that answered"),
        ({"memory": [80.0] * 20 + [90.0] * 20}, "memory, last quarter : second quarter"),
        ({"memory": []}, "memory, last quarter : second quarter"),
    ],
)
def test_each_fault_misses_its_limit(soak: dict[str, Any], limit: str) -> None:
    assert missed(**soak) == [limit]


def test_growth_leaves_the_warm_up_out() -> None:
    assert growth([10.0] * 10 + [80.0] * 30) == 1.0
    assert growth([80.0] * 20 + [80.0 * FLAT] * 20) == pytest.approx(FLAT)
