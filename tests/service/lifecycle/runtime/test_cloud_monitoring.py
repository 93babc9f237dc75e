import time

import grpc
import pytest
from google.api import metric_pb2
from google.api_core.retry import retry_base, retry_unary

from service.lifecycle.runtime import cloud_monitoring
from service.lifecycle.runtime.gauges import Gauge, PublishFailed
from tests.facts import stating
from tests.service.lifecycle.monitoring import Monitoring

TARGET = "projects/p-1/locations/europe-west3"
AUC = Gauge("leadscoring_evaluation_figure", 0.8125, {"figure": "roc_auc"})


class Clock:
    """The clock of the writer and of its retries: it moves only when somebody sleeps on it."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (cloud_monitoring, retry_base, retry_unary):
        monkeypatch.setattr(module, "time", made)
    return made


def test_a_figure_goes_out_as_a_scraped_gauge_would(monitoring: Monitoring) -> None:
    before = time.time()
    cloud_monitoring.write(TARGET, "evaluate", [AUC])
    (request,) = monitoring.requests
    assert request.name == "projects/p-1"
    (series,) = request.time_series
    assert series.metric.type == "prometheus.googleapis.com/leadscoring_evaluation_figure/gauge"
    assert dict(series.metric.labels) == {"figure": "roc_auc"}
    assert series.resource.type == "prometheus_target"
    assert dict(series.resource.labels) == {
        "project_id": "p-1",
        "location": "europe-west3",
        "cluster": "",
        "namespace": "lead-scoring",
        "job": "evaluate",
        "instance": "evaluate",
    }
    assert series.metric_kind == metric_pb2.MetricDescriptor.MetricKind.GAUGE
    assert series.value_type == metric_pb2.MetricDescriptor.ValueType.DOUBLE
    (point,) = series.points
    assert point.value.double_value == 0.8125
    assert int(before) <= point.interval.end_time.timestamp() <= time.time()


def test_many_figures_go_out_in_requests_of_at_most_two_hundred(monitoring: Monitoring) -> None:
    gauges = [Gauge("leadscoring_feature_unseen_excess_ratio", i / 500, {"feature": f"f{i}"}) for i in range(450)]
    cloud_monitoring.write(TARGET, "drift", gauges)
    assert [len(request.time_series) for request in monitoring.requests] == [200, 200, 50]
    written = [s.metric.labels["feature"] for request in monitoring.requests for s in request.time_series]
    assert written == [f"f{i}" for i in range(450)]


def test_a_second_point_comes_as_late_as_a_series_takes_it(monitoring: Monitoring, clock: Clock) -> None:
    for _ in range(2):
        cloud_monitoring.write(TARGET, "evaluate", [AUC])
    assert clock.slept == [0, cloud_monitoring.APART_S]
    clock.now += 1
    cloud_monitoring.write(TARGET, "evaluate", [AUC])
    assert clock.slept[2:] == [cloud_monitoring.APART_S - 1]


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED]
)
def test_what_passes_is_tried_again(code: grpc.StatusCode, monitoring: Monitoring) -> None:
    monitoring.refusals = [code, code]
    cloud_monitoring.write(TARGET, "evaluate", [AUC])
    assert len(monitoring.attempts) == 3
    assert len(monitoring.requests) == 1


@pytest.mark.parametrize(
    ("code", "attempts"), [("UNAVAILABLE", 3), ("RESOURCE_EXHAUSTED", 3), ("PERMISSION_DENIED", 1)]
)
def test_what_stays_refused_is_said(code: str, attempts: int, monitoring: Monitoring) -> None:
    monitoring.refusals = [grpc.StatusCode[code]] * 1000
    with pytest.raises(PublishFailed, match=stating("1 figures", "evaluate", "kept", "next run")):
        cloud_monitoring.write(TARGET, "evaluate", [AUC])
    assert monitoring.requests == []
    assert len(monitoring.attempts) >= attempts
    assert (len(monitoring.attempts) == 1) == (attempts == 1)


def test_a_target_that_is_none_is_named() -> None:
    with pytest.raises(PublishFailed, match="--metrics projects/p/zones/z: give"):
        cloud_monitoring.write("projects/p/zones/z", "evaluate", [])


def test_without_a_region_the_metadata_server_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_monitoring, "REGION", "http://127.0.0.1:9/region")
    with pytest.raises(PublishFailed, match="give projects/ID/locations/REGION"):
        cloud_monitoring.write("projects/p-1", "evaluate", [])


def test_the_waits_are_bounded_and_longer_than_what_lies_between_two_points() -> None:
    for retry, longest in ((cloud_monitoring.UNREACHABLE, 90), (cloud_monitoring.OVER_QUOTA, 300)):
        assert retry._timeout == longest
        assert retry._initial > 5
