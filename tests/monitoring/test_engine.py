"""Values come from Prometheus' own engine, labels and gaps included."""

import shutil
from datetime import timedelta

import pytest

from monitoring.alerts import Alert, Severity
from monitoring.proof import engine

MINUTE = timedelta(minutes=1)
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool: scripts/install-system brings it"),
]
HIGH = Alert(
    name="High",
    expr="a > 3",
    hold=2 * MINUTE,
    severity=Severity.TICKET,
    summary="High.",
    runbook="records.md",
    panel="Spool",
)


def test_values_come_with_their_labels_and_without_those_that_are_not_there() -> None:
    series = {'a{b="x, \\"y\\" {z}"}': "1+1x3", 'a{b="late"}': "_x2 7"}
    found = engine.values(series, ["a", "sum(a) / 3", "nothing"], [MINUTE, 2 * MINUTE], step=MINUTE)
    assert found["a"] == {
        (("__name__", "a"), ("b", 'x, "y" {z}')): [(MINUTE, 2), (2 * MINUTE, 3)],
        (("__name__", "a"), ("b", "late")): [(2 * MINUTE, 7)],
    }
    assert found["sum(a) / 3"] == {(): [(MINUTE, 2 / 3), (2 * MINUTE, 10 / 3)]}
    assert found["nothing"] == {}


def test_an_alert_is_asked_for_with_its_hold() -> None:
    firing = 'ALERTS{alertname="High",alertstate="firing"}'
    times = [n * MINUTE for n in range(8)]
    found = engine.values({"a": "1 4 4 4 4 1 1 1"}, [firing], times, step=MINUTE, alerts=[HIGH])
    ((points),) = found[firing].values()
    assert [time // MINUTE for time, _ in points] == [3, 4]


def test_what_cannot_be_evaluated_is_said_in_the_engines_words() -> None:
    with pytest.raises(engine.EngineFailed, match="many-to-many"):
        engine.values({'a{b="x"}': "1", 'a{b="y"}': "1"}, ["a * on () a"], [timedelta(0)], step=MINUTE)


def test_nothing_asked_is_nothing_found() -> None:
    assert engine.values({"a": "1"}, [], [MINUTE], step=MINUTE) == {}
