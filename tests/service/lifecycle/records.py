"""Prediction records and outcomes for tests, as the service and a CRM leave them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from service import records
from service.records import PredictionRecord
from service.storage import Storage

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def record(lead: str, time: datetime = NOON, **more: Any) -> PredictionRecord[Any]:
    """A record of this lead."""
    given: dict[str, Any] = {
        "request_id": f"r-{lead}",
        "model_version": "one",
        "inputs": {"visits": 3.0},
        "score": 0.5,
        "decision": "contact",
        "band": "A",
        "latency_ms": 1.0,
    }
    return PredictionRecord(lead_id=lead, time=time, **{**given, **more})


def upload(predictions: Storage, found: Iterable[PredictionRecord[Any]], name: str = "i", late: int = 0) -> list[str]:
    """Objects an hour as the service uploads them, named `late` minutes before the hour's first record."""
    hours: dict[str, list[PredictionRecord[Any]]] = {}
    for each in found:
        hours.setdefault(f"{each.time:%Y%m%dT%H}", []).append(each)
    keys = []
    for hour in hours.values():
        opened = min(r.time for r in hour) - timedelta(minutes=late)
        keys.append(records.object_key(f"{opened:%Y%m%dT%H%M%SZ}-{name}"))
        predictions.create(keys[-1], records.to_object(records.to_lines(hour)))
    return keys
