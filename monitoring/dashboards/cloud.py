"""Dashboards as Cloud Monitoring takes them, checked against its limits before its API would refuse them.

- D1 fields: https://cloud.google.com/monitoring/api/ref_v3/rest/v1/projects.dashboards, and the types of the official
  client, google-cloud-monitoring-dashboards 3.2.0: neither colour nor direction is allowed for a chart's threshold.
- D2 grid: 1 to 12 columns in that client's comments, 1 to 48 in the API's later description. 12 is right by both.
- D3 charts: https://cloud.google.com/monitoring/quotas. An edition of 2019 says 25 charts a dashboard and 300 lines a
  chart; later and probably higher figures could not be read, so these are kept.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from monitoring.dashboards.panel import Dashboard, Line, Panel
from monitoring.limits import LimitExceeded

COLUMNS, WIDTH, HEIGHT = 12, 4, 4
HEADER = 1
MOST_CHARTS = 25
MOST_LINES = 300
MOST_SERIES = 20  # that one query with labels is taken to bring


def rendered(dashboard: Dashboard, *, environment: str, runbooks_url: str) -> str:
    """The dashboard's JSON. Raises LimitExceeded, naming the panel and the limit."""
    for exceeded, limit in _limits(dashboard):
        if exceeded:
            raise LimitExceeded(f"dashboard {dashboard.id}: {limit}")
    text = f"{dashboard.about} Runbooks: {runbooks_url}"
    tiles = [_tile(0, 0, COLUMNS, HEADER, {"text": {"content": text, "format": "MARKDOWN"}})]
    across = COLUMNS // WIDTH
    for index, panel in enumerate(dashboard.panels):
        x, y = WIDTH * (index % across), HEADER + HEIGHT * (index // across)
        tiles.append(_tile(x, y, WIDTH, HEIGHT, _chart(panel)))
    return json.dumps(
        {
            "displayName": f"{dashboard.title} ({environment})",
            "labels": {"leadscoring": "", f"environment-{environment}": ""},
            "mosaicLayout": {"columns": COLUMNS, "tiles": tiles},
        },
        indent=1,
    )


def _tile(x: int, y: int, width: int, height: int, widget: dict[str, Any]) -> dict[str, Any]:
    return _message(xPos=x, yPos=y, width=width, height=height, widget=widget)


def _message(**fields: Any) -> dict[str, Any]:
    """A message as the API returns it: fields that are zero or empty are left out.

    The provider compares the configuration with the API's answer and ignores only keys that the configuration lacks.
    https://protobuf.dev/programming-guides/json/#presence and `resource_monitoring_dashboard.go` of provider 6.50.0
    """
    return {name: value for name, value in fields.items() if value not in (0, "", [])}


def _chart(panel: Panel) -> dict[str, Any]:
    return {
        "title": panel.title,
        "xyChart": _message(
            dataSets=[_data_set(panel, line) for line in panel.lines],
            thresholds=[
                _message(label=threshold.label, value=threshold.value, targetAxis="Y1")
                for threshold in panel.thresholds
            ],
            yAxis={"scale": "LINEAR"},
            chartOptions={"mode": "COLOR"},
        ),
    }


def _data_set(panel: Panel, line: Line) -> dict[str, Any]:
    return {
        "timeSeriesQuery": {"prometheusQuery": line.expr, "unitOverride": panel.unit.value},
        "plotType": "STACKED_AREA" if panel.stacked and not line.limit else "LINE",
        "legendTemplate": line.legend,
        "minAlignmentPeriod": "60s",  # Google's own metrics come once a minute
        "targetAxis": "Y1",
    }


def _limits(dashboard: Dashboard) -> Iterator[tuple[bool, str]]:
    charts = len(dashboard.panels)
    yield charts > MOST_CHARTS, f"{charts} charts, {MOST_CHARTS} are allowed (D3)"
    yield not dashboard.panels, "it has no chart (D1)"
    for panel in dashboard.panels:
        lines = sum(MOST_SERIES if "${" in line.legend else 1 for line in panel.lines)
        yield lines > MOST_LINES, f"{panel.title}: up to {lines} lines, {MOST_LINES} are allowed (D3)"
        yield not panel.lines, f"{panel.title}: a chart needs a query (D1)"
        yield not panel.title.strip(), "a chart without a title"


def queries(dashboards: Iterable[Dashboard]) -> Iterator[str]:
    """Every query of every dashboard."""
    for dashboard in dashboards:
        for panel in dashboard.panels:
            yield from (line.expr for line in panel.lines)
