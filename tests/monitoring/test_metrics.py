"""Every metric that an alert or a panel reads is exported by something, with the labels that it asks for."""

import inspect
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitoring import catalogue, google
from monitoring.alerts import Alert
from monitoring.catalogue import front_door
from monitoring.dashboards import dashboards
from monitoring.dashboards.cloud import queries
from monitoring.limits import SHORTEST_RANGE
from monitoring.promql.text import metric_names
from monitoring.proof.decoys import readings
from service.api import authenticate, identity, metrics
from service.lifecycle.runtime import gauges
from service.storage import open_storage
from tests.service import forge
from tests.service.api.server import Server

ALERTS = catalogue.alerts()
JOBS_LABELS = {"job", "figure", "feature", "band", "by", "decision"}  # service.lifecycle.runtime.gauges.Gauge
each_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The labels of every series that the real service exports, by name, after a lead was scored."""
    root = tmp_path_factory.mktemp("service")
    forge.release(open_storage(str(root / "store")), version="v1")
    running = Server(root)
    try:
        running.score({"features": forge.LEAD})
        text = running.http.get("/metrics").text
    finally:
        running.stop()
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def test_the_selectors_are_those_of_a_real_parser() -> None:
    for alert in ALERTS:
        assert {reading.selector.name for reading in readings(alert.expr)} == metric_names(alert.expr), alert.name


def unexported(expr: str, scraped: dict[str, set[str]]) -> Iterator[str]:
    for selector in (reading.selector for reading in readings(expr)):
        name, asked = str(selector.name), {matcher.name for matcher in selector.matchers.matchers}
        if known := google.of(name):
            has = set(known.labels)
        elif name in gauges.NAMES:
            has = JOBS_LABELS
        elif name in scraped:
            has = scraped[name]
        else:
            yield f"nothing exports {name}"
            continue
        if not asked <= has:
            yield f"{name} has no label {', '.join(sorted(asked - has))}"


@each_alert
def test_what_an_alert_reads_is_exported_with_the_labels_it_asks_for(
    alert: Alert, scraped: dict[str, set[str]]
) -> None:
    assert list(unexported(alert.expr, scraped)) == []


def test_what_a_panel_reads_is_exported_with_the_labels_it_asks_for(scraped: dict[str, set[str]]) -> None:
    assert [problem for query in queries(dashboards()) for problem in unexported(query, scraped)] == []


def test_every_reason_to_refuse_a_caller_is_counted_from_0() -> None:
    # PromQL sees no growth in the sample with which a counter appears.
    reasons = set(re.findall(r'Refused\("(\w+)"\)', inspect.getsource(identity)))
    exported = {each.labels["reason"] for family in metrics.CALLERS_REFUSED.collect() for each in family.samples}
    assert reasons == exported


def test_requests_that_need_no_assertion_do_not_lower_the_share_of_refused_callers() -> None:
    (selector,) = (reading.selector for reading in readings(front_door.ASKED_OF_PODS))
    (matcher,) = selector.matchers.matchers
    assert str(matcher.op) == "MatchOp.NotRe"
    assert set(matcher.value.split("|")) == authenticate.OPEN


def test_a_metric_that_nothing_exports_is_noticed(scraped: dict[str, set[str]]) -> None:
    name = "leadscoring_request_total"  # without its s
    assert name not in scraped
    assert name not in gauges.NAMES
    assert google.of(name) is None
    assert list(unexported(f"sum({name})", scraped)) == [f"nothing exports {name}"]
    assert list(unexported('leadscoring_spool_bytes{pod="a"}', scraped)) == ["leadscoring_spool_bytes has no label pod"]


def test_every_google_metric_on_the_list_is_read_and_has_its_source() -> None:
    exprs = [alert.expr for alert in ALERTS] + list(queries(dashboards()))
    read = {name for expr in exprs for name in metric_names(expr)}
    for metric in google.METRICS:
        assert any(google.of(name) is metric for name in read), f"{metric.name} is read by nothing"
        assert metric.source.startswith("https://cloud.google.com/")
        assert timedelta(0) < metric.sampling <= timedelta(minutes=1)
        assert metric.delay < SHORTEST_RANGE, "a range would hold no sample of it"
    assert len(google.UNVERIFIED) == 15
