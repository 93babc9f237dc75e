"""The dashboards' JSON is what Cloud Monitoring takes, by the types of its official client."""

import json
from dataclasses import replace

import pytest
from google.cloud.monitoring_dashboard_v1.types import Dashboard as Official
from google.protobuf import json_format

from monitoring.dashboards import cloud, dashboards
from monitoring.dashboards.panel import Dashboard, Line, Panel
from monitoring.limits import LimitExceeded

ALL = dashboards()
ONE = Dashboard("one", "One", "Is it there?", (Panel("Up", lines=(Line("up", "up"),)),))


def rendered(dashboard: Dashboard) -> str:
    return cloud.rendered(dashboard, environment="prod", runbooks_url="https://example.com/runbooks")


@pytest.mark.parametrize("dashboard", ALL, ids=lambda dashboard: dashboard.id)
def test_the_official_client_knows_every_field(dashboard: Dashboard) -> None:
    parsed = json_format.Parse(rendered(dashboard), Official.pb(Official()), ignore_unknown_fields=False)
    charts = [tile.widget for tile in parsed.mosaic_layout.tiles if tile.widget.HasField("xy_chart")]
    assert [widget.title for widget in charts] == [panel.title for panel in dashboard.panels]
    for widget, panel in zip(charts, dashboard.panels, strict=True):
        drawn = [data.time_series_query.prometheus_query for data in widget.xy_chart.data_sets]
        assert drawn == [line.expr for line in panel.lines]
        assert [t.value for t in widget.xy_chart.thresholds] == [t.value for t in panel.thresholds]
        # Neither is allowed in a chart, says the client.
        assert {(t.color, t.direction) for t in widget.xy_chart.thresholds} <= {(0, 0)}


@pytest.mark.parametrize("dashboard", ALL, ids=lambda dashboard: dashboard.id)
def test_a_dashboard_comes_back_from_the_api_as_it_was_sent(dashboard: Dashboard) -> None:
    # Otherwise the provider finds a difference in every plan.
    sent = rendered(dashboard)
    assert json_format.MessageToDict(json_format.Parse(sent, Official.pb(Official()))) == json.loads(sent)


@pytest.mark.parametrize("dashboard", ALL, ids=lambda dashboard: dashboard.id)
def test_tiles_stay_in_the_grid_and_cover_each_other_nowhere(dashboard: Dashboard) -> None:
    layout = json.loads(rendered(dashboard))["mosaicLayout"]
    taken: set[tuple[int, int]] = set()
    for tile in layout["tiles"]:
        left, top = tile.get("xPos", 0), tile.get("yPos", 0)
        assert 0 <= left <= layout["columns"] - tile["width"]
        blocks = {(left + x, top + y) for x in range(tile["width"]) for y in range(tile["height"])}
        assert blocks
        assert not blocks & taken
        taken |= blocks


@pytest.mark.parametrize(
    ("dashboard", "limit"),
    [
        (replace(ONE, panels=()), "it has no chart"),
        (replace(ONE, panels=ONE.panels * 26), "26 charts, 25 are allowed"),
        (replace(ONE, panels=(Panel("Empty"),)), "Empty: a chart needs a query"),
        (replace(ONE, panels=(Panel(" ", lines=ONE.panels[0].lines),)), "a chart without a title"),
        (
            replace(ONE, panels=(Panel("Many", lines=tuple(Line(f"${{a}} {n}", "up") for n in range(16))),)),
            "Many: up to 320 lines, 300 are allowed",
        ),
    ],
)
def test_what_cloud_monitoring_would_refuse_is_refused_before(dashboard: Dashboard, limit: str) -> None:
    with pytest.raises(LimitExceeded, match=f"dashboard one: {limit}"):
        rendered(dashboard)


def test_environment_and_runbooks_are_named() -> None:
    told = json.loads(rendered(ONE))
    assert told["displayName"] == "One (prod)"
    text = told["mosaicLayout"]["tiles"][0]["widget"]["text"]
    assert text == {"content": "Is it there? Runbooks: https://example.com/runbooks", "format": "MARKDOWN"}
