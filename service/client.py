"""What the platform asks its own scoring service for, over HTTP."""

import json
import urllib.request
from collections.abc import Iterable
from typing import Any

from service.model.schema import LeadSchema, Value


def lead_schema(service: str) -> LeadSchema:
    """The schema of the leads that the service takes now. Raises OSError when it cannot be asked."""
    with urllib.request.urlopen(f"{service}/v1/model", timeout=10) as answer:  # noqa: S310 - our own address
        return LeadSchema.model_validate_json(json.dumps(json.load(answer)["lead_schema"]))


def score(service: str, leads: Iterable[tuple[str, dict[str, Value]]]) -> list[dict[str, Any]]:
    """The service's answer for each of these ids and features, in their order. Raises OSError when it gives none."""
    body = {"leads": [{"lead_id": lead, "features": features} for lead, features in leads]}
    request = urllib.request.Request(  # noqa: S310 - our own address
        f"{service}/v1/score", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return list(json.load(answer)["scores"])


def metrics(service: str) -> str:
    """The service's metrics in Prometheus' text format. Raises OSError when it gives none."""
    with urllib.request.urlopen(f"{service}/metrics", timeout=30) as answer:  # noqa: S310 - our own address
        return str(answer.read().decode())
