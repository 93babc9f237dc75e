"""A small lead source, and columns of as many cells as it has leads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from service.lifecycle.data.leads import Leads
from service.lifecycle.data.source import Source
from service.model.bundle import Economics

N = 200
WON = ["yes" if i % 4 == 0 else "no" for i in range(N)]

Loads = Callable[..., Leads]


def source(path: Path, **keys: Any) -> Source:
    stated: dict[str, Any] = {"metric_reason": "r", "agreed_by": "a", "agreed_on": "2025-01-01", "metric": "profit"}
    money = Economics(conversion_value=10, contact_cost=1)
    return Source(
        **{"name": "crm", "path": str(path), "target_column": "won", "positive": "yes", "economics": money}
        | stated
        | keys
    )


def cycle(*values: Any) -> list[Any]:
    return [values[i % len(values)] for i in range(N)]
