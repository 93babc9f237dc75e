"""Figures of the jobs as Cloud Monitoring time series, under the names that PromQL sees in a local Prometheus too.

A series is written as Google's own collector writes a scraped gauge: type `prometheus.googleapis.com/NAME/gauge`,
resource `prometheus_target`, by the ordinary CreateTimeSeries, which `roles/monitoring.metricWriter` allows
(github.com/GoogleCloudPlatform/prometheus-engine, pkg/export/export.go and series_cache.go; the OpenTelemetry
exporter `googlemanagedprometheus` does the same). Google's documentation does not say that any other program may: the
first run in a real project shows it by its exit status. Should it be refused, the type to write is
`custom.googleapis.com/NAME`, which PromQL calls `custom_googleapis_com:NAME`.

A point is there for a moment: a figure of a daily job is read with `last_over_time(NAME[25h])`.
"""

import math
import os
import re
import time
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
from google.api import metric_pb2, monitored_resource_pb2
from google.api_core.exceptions import (
    DeadlineExceeded,
    GoogleAPICallError,
    ResourceExhausted,
    RetryError,
    ServiceUnavailable,
)
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.cloud import monitoring_v3
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport

from service.lifecycle.runtime.gauges import Gauge, PublishFailed

BATCH = 200
"""Time series in a request (BatchSizeMax of the collector named above)."""

APART_S = 6.0
"""More than the 5 seconds that must lie between two points of a series (https://cloud.google.com/monitoring/quotas): a
job that fails at once writes its end so long after its start."""
_written = -math.inf
"""When this process last wrote, by its monotonic clock."""

CALL_S = 12.0
UNREACHABLE = Retry(
    predicate=if_exception_type(ServiceUnavailable, DeadlineExceeded),
    initial=APART_S,
    multiplier=2,
    maximum=30,
    timeout=90,
)
"""The first wait is APART_S, should the first attempt have arrived."""

OVER_QUOTA = Retry(predicate=if_exception_type(ResourceExhausted), initial=30, multiplier=2, maximum=120, timeout=300)
"""Quotas are by the minute."""

REGION = "http://metadata.google.internal/computeMetadata/v1/instance/region"
"""On Cloud Run: projects/NUMBER/regions/REGION (https://cloud.google.com/run/docs/container-contract)."""


def write(target: str, job: str, gauges: Sequence[Gauge]) -> None:
    """Write a point of each gauge now, to projects/ID or projects/ID/locations/REGION. Raises PublishFailed.

    Without a region that of the Cloud Run job is asked for: the resource must name one.
    """
    match = re.fullmatch(r"projects/([^/]+)(?:/locations/([^/]+))?", target)
    if match is None:
        raise PublishFailed(f"--metrics {target}: give projects/ID, projects/ID/locations/REGION or a folder")
    project, region = match[1], match[2] or _region()
    every = list(_series(project, region, job, gauges))
    time.sleep(max(_written + APART_S - time.monotonic(), 0))

    def send(batch: list[Any]) -> None:
        # A new time for each attempt: a series takes no second point of the same moment.
        interval = monitoring_v3.TimeInterval(end_time={"seconds": int(time.time())})
        for series in batch:
            series.points[0].interval = interval
        client.create_time_series(name=f"projects/{project}", time_series=batch, timeout=CALL_S)
        global _written
        _written = time.monotonic()

    try:
        client = _client()
        for start in range(0, len(every), BATCH):
            OVER_QUOTA(UNREACHABLE(send))(every[start : start + BATCH])
    except (GoogleAPICallError, GoogleAuthError, RetryError) as error:
        cause = getattr(error, "cause", None) or error
        raise PublishFailed(
            f"Cloud Monitoring of {project} did not take {len(every)} figures of {job} ({cause}); they are kept in the "
            "models' storage and go out with the job's next run"
        ) from error


def _series(project: str, region: str, job: str, gauges: Sequence[Gauge]) -> Iterator[Any]:
    # The same instance in every run, or each run would be a series of its own and the old one stay for a day.
    labels = {
        "project_id": project,
        "location": region,
        "cluster": "",
        "namespace": "lead-scoring",
        "job": job,
        "instance": job,
    }
    resource = monitored_resource_pb2.MonitoredResource(type="prometheus_target", labels=labels)
    for gauge in gauges:
        yield monitoring_v3.TimeSeries(
            metric=metric_pb2.Metric(type=f"prometheus.googleapis.com/{gauge.name}/gauge", labels=gauge.labels),
            resource=resource,
            metric_kind=metric_pb2.MetricDescriptor.MetricKind.GAUGE,
            value_type=metric_pb2.MetricDescriptor.ValueType.DOUBLE,
            points=[monitoring_v3.Point(value={"double_value": gauge.value})],
        )


def _client() -> Any:
    """A client of the API, or of LEADSCORING_MONITORING_EMULATOR (host:port, no TLS, no credentials)."""
    if emulator := os.environ.get("LEADSCORING_MONITORING_EMULATOR"):
        channel = grpc.insecure_channel(emulator)
        return monitoring_v3.MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))
    return monitoring_v3.MetricServiceClient()


def _region() -> str:
    request = urllib.request.Request(REGION, headers={"Metadata-Flavor": "Google"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - a constant address
            return str(answer.read().decode()).rpartition("/")[2]
    except OSError as error:
        raise PublishFailed(
            f"--metrics names no region and Cloud Run's metadata server cannot be asked ({error}); "
            "give projects/ID/locations/REGION"
        ) from error
