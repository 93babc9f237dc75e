"""Whoever is paged finds what paged them on a panel, with the line that was crossed."""

from dataclasses import replace

import pytest

from monitoring import catalogue
from monitoring.alerts import Alert
from monitoring.dashboards import ELSEWHERE, dashboards
from monitoring.dashboards.panel import Dashboard, Line, Panel, Threshold, placed
from monitoring.promql.conditions import conditions, normal
from tests.facts import stating

ALERTS = catalogue.alerts()
PANELS = {panel.title: panel for dashboard in dashboards() for panel in dashboard.panels}
SPOOL = next(alert for alert in ALERTS if alert.name == "SpoolFillsUp")


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_condition_of_an_alert_is_on_a_panel_with_its_threshold(alert: Alert) -> None:
    for place, condition in enumerate(conditions(alert)):
        panel = PANELS[ELSEWHERE.get((alert.name, place), alert.panel)]
        drawn = {normal(line.expr) for line in panel.lines}
        assert normal(condition.measured) in drawn
        if condition.threshold is None:
            assert normal(condition.limit) in drawn
        else:
            (threshold,) = (each for each in panel.thresholds if each.value == condition.threshold)
            assert alert.name in threshold.label.split(", ")


def test_the_first_condition_is_on_the_panel_that_the_alert_names() -> None:
    assert {place for _, place in ELSEWHERE} == {1, 2, 3, 4}
    assert {alert.panel for alert in ALERTS} <= PANELS.keys()


def test_what_is_drawn_elsewhere_is_a_condition_of_an_alert() -> None:
    places = {(alert.name, place) for alert in ALERTS for place, _ in enumerate(conditions(alert))}
    assert ELSEWHERE.keys() <= places


def test_every_panel_shows_something_and_no_line_twice() -> None:
    for panel in PANELS.values():
        assert panel.lines, panel.title
        legends = [line.legend for line in panel.lines]
        assert len(set(legends)) == len(legends), panel.title
        exprs = [normal(line.expr) for line in panel.lines]
        assert len(set(exprs)) == len(exprs), panel.title


def test_a_line_keeps_the_legend_that_its_panel_gives_it() -> None:
    here = Panel("Spool", lines=(Line("fullest", SPOOL.expr.split(" > ")[0].replace(" + ", "   + ")),))
    (dashboard,) = placed([Dashboard("d", "D", "", (here,))], [SPOOL], {})
    assert [line.legend for line in dashboard.panels[0].lines] == ["fullest"]
    assert dashboard.panels[0].thresholds == (Threshold("SpoolFillsUp", 230_400_000),)


def test_an_alert_whose_panel_is_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match=stating("no dashboard", "'Gone'", "SpoolFillsUp")):
        placed([Dashboard("d", "D", "", ())], [replace(SPOOL, panel="Gone")], {})


def test_two_panels_of_one_name_are_refused() -> None:
    twice = [Dashboard("d", "D", "", (Panel("Spool"), Panel("Spool")))]
    with pytest.raises(ValueError, match=stating("two panels", "Spool")):
        placed(twice, [SPOOL], {})
