"""The gauges of the metric that people agreed on: how the model does by it, what training promised, why it is that one.

They carry `metric_reason` and `agreed_by` of the lead source as labels, so that a ticket on them quotes both.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, time

from service.history import Estimate
from service.lifecycle.data.source import Source
from service.lifecycle.runtime.gauges import Gauge
from service.model.agreement import Agreement
from service.model.bundle import JudgedOn

LONGEST = 300
"""Characters of a quotation in a label. Prometheus allows more, and what Cloud Monitoring allows was not found out."""


def agreed_gauges(
    source: Source, figures: Mapping[str, Estimate], benchmark: Mapping[str, float], judged_on: JudgedOn | None
) -> list[Gauge]:
    """The source's metric beside what training lets expect of it; nothing on it where either has no such figure.

    What training lets expect is its benchmark, less by how much it is too good because the model was chosen by it.
    """
    stated, metric = source.agreement or Agreement(), source.metric
    by = {"agreed_by": _quoted(stated.agreed_by, "nobody")}
    gauges = []
    if metric in figures and metric in benchmark:
        found, too_good = figures[metric], judged_on.optimism.get(metric, 0.0) if judged_on else 0.0
        labels = {"figure": metric, "metric_reason": _quoted(stated.metric_reason, "none was given"), **by}
        values = {"figure": found.value, "figure_high": found.high, "benchmark": benchmark[metric] - too_good}
        gauges = [Gauge(f"leadscoring_agreed_{name}", value, labels) for name, value in values.items()]
    if stated.agreed_on:
        since = datetime.combine(stated.agreed_on, time(), UTC)
        gauges.append(Gauge("leadscoring_agreed_timestamp_seconds", since.timestamp(), by))
    return gauges


def _quoted(text: str | None, otherwise: str) -> str:
    words = " ".join((text or otherwise).split())
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 3]}..."
