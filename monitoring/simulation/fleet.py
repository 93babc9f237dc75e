"""What the platform exports: steady series that incidents change, and the traffic's counters, told last."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.alerts import Severity
from monitoring.catalogue import promises
from monitoring.google import UPTIME_CHECK_LOCATIONS
from monitoring.simulation.world import BEFORE, DAY, EPOCH, HOUR, JOBS, PODS, PROBES, RECORD_BYTES, Array, Track, World
from monitoring.slos import Slo

NEAR = 0.7  # of what a page's window allows, a blip spends at most
CONTACTED = 0.3  # of the scored leads
SCORED = {"route": "/v1/score", "method": "POST"}
OURS = {"monitored_resource": "k8s_container", "container_name": "scoring", "pod_name": ""}
URL = {"monitored_resource": "uptime_url", "check_id": "front-door"}
BALANCER = {"monitored_resource": "https_lb_rule"}
REVISION = {"monitored_resource": "cloud_run_revision"}
DATABASE = {"monitored_resource": "cloudsql_database"}
POD_GAUGES = (
    "leadscoring_pointer_last_success_timestamp_seconds",
    "leadscoring_model_loaded_timestamp_seconds",
    "leadscoring_model_info",
    "leadscoring_spool_bytes",
    "leadscoring_bundle_refused_total",
    "leadscoring_upload_failures_total",
    "leadscoring_connections_closed_total",
)
AGREED = "figure=profit,metric_reason=it pays,agreed_by=head of sales"
# The steady figures of the jobs; `labels` as `name=value`.
FIGURES = {
    "evaluate": {
        ("agreed_figure_high", AGREED): 1_500.0,
        ("agreed_benchmark", AGREED): 1_400.0,
        ("agreed_timestamp_seconds", "agreed_by=head of sales"): float(EPOCH - 100 * DAY * 60),
        ("evaluation_benchmark_rarer_ratio", ""): 0.11,
        ("evaluation_figure_low", "figure=calibration_error"): 0.02,
        ("evaluation_benchmark", "figure=roc_auc"): 0.77,
        ("evaluation_benchmark", "figure=calibration_error"): 0.03,
        ("evaluation_leads", ""): 2_000.0,
        ("evaluation_records_missing_ratio", ""): 0.0,
        ("evaluation_contacted_only_seconds", ""): 0.0,
        ("business_roi_ratio", ""): 1.5,
        ("champion_trained_timestamp_seconds", ""): float(EPOCH - 3 * DAY * 60),
        ("champion_promoted_timestamp_seconds", ""): float(EPOCH - 2 * DAY * 60),
    },
    "drift": {
        ("expected_figure_high", "figure=roc_auc"): 0.8,
        ("drift_found", ""): 0.0,
        ("drift_score_distance", ""): 0.05,
        ("drift_score_shifted", ""): 0.0,
        ("feature_unseen_excess_ratio", "feature=lead_source"): 0.01,
        ("feature_missing_excess_ratio", "feature=lead_source"): 0.02,
    },
    "retrain": {("challenger_refused_in_a_row", ""): 0.0},
    "batch": {},
    "report": {},
    "compact": {("compact_oldest_waiting_seconds", ""): 0.0, ("compact_unreadable_objects", ""): 0.0},
}


def add_baseline(world: World) -> None:
    """Give the world every series but the traffic's."""
    for job, figures in FIGURES.items():
        world.figures[job] = {
            (f"leadscoring_{name}", labels): np.full(world.days + 2, value) for (name, labels), value in figures.items()
        }
    _pods(world)
    _way_in(world)
    _tracking(world)


def _gauge(world: World, name: str, labels: Mapping[str, str], value: float | Array, pod: int | None = None) -> None:
    values = np.full(world.minutes, value) if isinstance(value, float) else value
    world.tracks.setdefault(name, []).append(Track(labels, values, pod=pod))


def _counter(world: World, name: str, labels: Mapping[str, str], growth: NDArray[Any], pod: int | None = None) -> None:
    world.tracks.setdefault(name, []).append(Track(labels, growth.astype(float), True, pod))


def _noise(world: World, usual: float, spread: float) -> Array:
    return np.clip(world.rng.normal(usual, spread, world.minutes), 0, 1)


def _pods(world: World) -> None:
    ready = np.full(world.minutes, float(PODS))
    for pod in range(PODS):
        for restart in world.restarts[pod]:
            ready[restart : restart + 2] -= 1
        labels = {**OURS, "memory_type": "non-evictable"}
        _gauge(world, "kubernetes_io:container_memory_limit_utilization", labels, _noise(world, 0.5, 0.02), pod)
        busy: Array = 0.6 * world.rate / world.rate.max()
        _gauge(world, "kubernetes_io:container_cpu_limit_utilization", OURS, busy + _noise(world, 0.05, 0.02), pod)
        _counter(world, "kubernetes_io:container_restart_count", OURS, np.zeros(world.minutes), pod)
        # It was written in the second before the scrape.
        read = EPOCH + 60.0 * np.arange(world.minutes) - world.rng.uniform(0, 5, world.minutes)
        _gauge(world, "leadscoring_pointer_last_success_timestamp_seconds", {}, read, pod)
        _gauge(world, "leadscoring_model_loaded_timestamp_seconds", {}, float(EPOCH - DAY * 60), pod)
        _gauge(world, "leadscoring_model_info", {"version": "v1"}, 1.0, pod)
        _gauge(world, "leadscoring_spool_bytes", {}, world.rng.uniform(0, 2000000.0, world.minutes), pod)
        _counter(world, "leadscoring_bundle_refused_total", {"reason": "tampered"}, np.zeros(world.minutes), pod)
        for reason in ("too_many", "rested"):
            name = "leadscoring_connections_closed_total"
            _counter(world, name, {"reason": reason}, np.zeros(world.minutes), pod)
        _counter(world, "leadscoring_upload_failures_total", {}, (world.rng.random(world.minutes) < 0.001) * 1.0, pod)
    deployment = {"deployment": "scoring"}
    _gauge(world, "kube_deployment_status_replicas_available", deployment, ready)
    _gauge(world, "kube_deployment_spec_replicas", deployment, float(PODS))
    _gauge(world, "kube_deployment_status_replicas_updated", deployment, float(PODS))
    waits = np.where(ready < PODS, 1.0, np.nan)  # each restart passes it
    labels = {"container": "scoring", "pod": "scoring-7d4", "reason": "ContainerCreating"}
    _gauge(world, "kube_pod_container_status_waiting_reason", labels, waits)
    for name, labels in (
        ("out_of_memory", {"process": "python"}),
        ("unhandled_errors", {"logger": "uvicorn.error", "monitored_resource": "k8s_container"}),
    ):
        _counter(world, f"logging_googleapis_com:user_leadscoring_{name}", labels, np.zeros(world.minutes))
    nightly = (np.arange(world.minutes) % DAY == 100) * 1.0
    for state, ended in (("SUCCEEDED", nightly), ("FAILED", 0 * nightly)):
        _counter(world, "gkebackup_googleapis_com:backup_completion_times_count", {"state": state}, ended)
    _gauge(world, "kube_pod_status_unschedulable", {"pod": "scoring-7d4", "uid": "1"}, 0.0)
    scaler = {"horizontalpodautoscaler": "scoring"}
    _gauge(world, "kube_horizontalpodautoscaler_status_current_replicas", scaler, float(PODS))
    _gauge(world, "kube_horizontalpodautoscaler_spec_max_replicas", scaler, 10.0)


def _way_in(world: World) -> None:
    for place in UPTIME_CHECK_LOCATIONS:
        name = "monitoring_googleapis_com:uptime_check_check_passed"
        passed = np.ones(world.minutes)
        for at in world.rng.integers(0, world.minutes - HOUR, world.days // 10):  # a place's own network
            passed[at : at + int(world.rng.integers(3, 25))] = 0
        _gauge(world, name, {"checker_location": place, **URL}, passed)
    left = np.repeat(75.0 - np.arange(world.days + 2), DAY)[: world.minutes]
    _gauge(world, "monitoring_googleapis_com:uptime_check_time_until_ssl_cert_expires", URL, left)
    bots = world.rng.poisson(0.01 * world.rate)
    name = "networksecurity_googleapis_com:https_request_count"
    _counter(world, name, {"blocked": "false"}, world.rng.poisson(world.rate))
    _counter(world, name, {"blocked": "true"}, bots)
    _gauge(world, "router_googleapis_com:nat_nat_allocation_failed", {}, 0.0)
    _gauge(world, "leadscoring_probe_success", {"job": "probe"}, 1.0)


def _tracking(world: World) -> None:
    """MLflow is used by jobs at night and by people by day; its database never sleeps."""
    used = 2 + world.rate / 100
    name = "run_googleapis_com:request_count"
    _counter(world, name, {"response_code_class": "2xx", **REVISION}, world.rng.poisson(used))
    _counter(world, name, {"response_code_class": "5xx", **REVISION}, world.rng.poisson(0.0002 * used))
    for name, shares in {
        "request_latencies_bucket": {"1000": 0.95, "5000": 0.99, "10000": 1.0, "+Inf": 1.0},
        "container_memory_utilizations_bucket": {"0.5": 0.9, "0.9": 1.0, "1": 1.0, "+Inf": 1.0},
    }.items():
        for le, share in shares.items():
            _counter(world, f"run_googleapis_com:{name}", {"le": le, **REVISION}, share * used)
    for job in JOBS:
        labels = {"monitored_resource": "cloud_run_job", "job_name": f"acme-prod-{job}", "result": "failed"}
        _counter(world, "run_googleapis_com:job_completed_execution_count", labels, np.zeros(world.minutes))
    name = "cloudsql_googleapis_com:database"
    _gauge(world, f"{name}_instance_state", {"state": "RUNNING", **DATABASE}, 1.0)
    _gauge(world, "cloudsql_googleapis_com:database_disk_bytes_used", DATABASE, 95e9)
    for what, usual, spread in (("cpu", 0.3, 0.1), ("memory", 0.6, 0.02), ("disk", 0.4, 0.0)):
        _gauge(world, f"{name}_{what}_utilization", DATABASE, _noise(world, usual, spread))
    backends = np.round(world.rng.normal(20, 4, world.minutes))
    _gauge(world, f"{name}_postgresql_num_backends", {"database": "mlflow", **DATABASE}, backends)


def _probe(world: World) -> None:
    """Every five minutes a request that goes the callers' way."""
    turned_away = world.turned_away / np.maximum(world.rate + world.turned_away, 1e-9)
    well = (1 - world.refused) * (1 - world.denied) * (1 - world.failing - world.shed) * (1 - turned_away)
    (probe,) = world.tracks["leadscoring_probe_success"]
    probe.values *= world.rng.random(world.minutes) < well * world.up.any(axis=0)
    _gauge(world, "leadscoring_probe_duration_seconds", probe.labels, np.where(probe.values < 1, 10.0, 0.1))
    for track in (probe, *world.tracks["leadscoring_probe_duration_seconds"]):
        track.values[np.arange(world.minutes) % 5 > 0] = np.nan


def _blips(world: World) -> None:
    """Short faults every other day or so, each of which spends less than any page's window allows."""
    done = np.concatenate([[0.0], np.cumsum(world.rate)])
    for slo, share in ((promises.AVAILABILITY, world.failing), (promises.LATENCY, world.slow)):
        at = BEFORE + int(world.rng.integers(0, DAY))
        while at < world.minutes - HOUR:
            lasts = int(world.rng.integers(2, 12))
            spends = float(world.rng.uniform(0.1, NEAR)) * _allowed(slo, done, at)
            share[at : at + lasts] += min(spends / (done[at + lasts] - done[at]), 0.9)
            at += DAY + int(world.rng.integers(0, 2 * DAY))


def _allowed(slo: Slo, done: Array, at: int) -> float:
    """How many bad requests the windows that page let pass as long as they remember the minute, by the traffic."""
    least = []
    for window in slo.windows:
        if window.severity is Severity.PAGE:
            long = int(window.long.total_seconds()) // 60
            ends = np.arange(at, min(at + long, len(done) - 1)) + 1
            requests = (done[ends] - done[np.maximum(ends - long, 0)]).min()
            least.append(float(slo.threshold(window)) * float(requests))
    return min(least)


def add_traffic(world: World, blips: bool = True) -> None:
    """Tell the traffic: what pods and load balancer count, with everything that incidents made of it."""
    if blips:
        _blips(world)
    rng, seen = world.rng, np.where(world.seen, 0.0, np.nan)
    carried = np.maximum(world.up.sum(axis=0), 1)
    every, bad, unknown = np.zeros(world.minutes), np.zeros(world.minutes), np.zeros(world.minutes)
    for pod in range(PODS):
        total = rng.poisson(world.rate * (1 - world.refused) / carried) * world.up[pod]
        denied = rng.binomial(total, world.denied)
        shed = rng.binomial(total - denied, world.shed)
        failed = shed + rng.binomial(total - denied - shed, world.failing)
        good = total - denied - failed
        slow = rng.binomial(total, world.slow)
        gone = np.where(world.up[pod], seen, np.nan)
        _counter(world, "leadscoring_callers_refused_total", {"reason": "audience"}, denied + gone, pod)
        for status, count in (("200", good), ("401", denied), ("503", failed)):
            _counter(world, "leadscoring_requests_total", {"status": status, **SCORED}, count + gone, pod)
        for lacking, count in (("time", shed), ("memory", 0 * shed), ("explaining", 0 * shed)):
            _counter(world, "leadscoring_requests_shed_total", {"lacking": lacking}, count + gone, pod)
        name = "leadscoring_request_duration_seconds"
        _counter(world, f"{name}_count", {"route": "/v1/score"}, total + gone, pod)
        _counter(world, f"{name}_bucket", {"route": "/v1/score", "le": "0.25"}, total - slow + gone, pod)
        contact = np.floor(CONTACTED * good)
        for decision, count in (("contact", contact), ("skip", good - contact)):
            _counter(world, "leadscoring_leads_scored_total", {"decision": decision}, count + gone, pod)
        written = rng.binomial(good, 1 - world.unwritten)
        _counter(world, "leadscoring_records_written_total", {}, written + gone, pod)
        _counter(world, "leadscoring_records_uploaded_total", {}, np.where(world.stuck, 0, written) + gone, pod)
        waiting = np.cumsum(np.where(world.stuck, written * RECORD_BYTES, 0))
        world.tracks["leadscoring_spool_bytes"][pod].values += np.where(world.stuck, waiting, 0)
        every, bad, unknown = every + total, bad + failed, unknown + denied
        for name in POD_GAUGES:
            for track in world.tracks[name]:
                if track.pod == pod:
                    track.values += gone
    refused = rng.poisson(world.rate * world.refused)
    answered = np.zeros(world.minutes)
    for path, code, count in (
        ("/v1/score", "200", every - bad - unknown),
        ("/v1/score", "401", unknown + rng.poisson(PROBES / 20, world.minutes)),
        ("/v1/score", "403", rng.poisson(world.turned_away)),
        ("/v1/score", "503", bad + refused),
        ("UNMATCHED", "302", rng.poisson(PROBES / 2, world.minutes)),
        ("UNMATCHED", "401", rng.poisson(PROBES / 2, world.minutes)),
    ):
        labels = {"matched_url_path_rule": path, "response_code": code, "response_code_class": f"{code[0]}00"}
        _counter(world, "loadbalancing_googleapis_com:https_request_count", {**labels, **BALANCER}, count)
        answered += count
    _probe(world)
    late = rng.binomial((every + refused).astype(int), world.waiting)
    for le, over in (("1000", 2 * late), ("2000", late), ("4000", 0 * late), ("+Inf", 0 * late)):
        name = "loadbalancing_googleapis_com:https_total_latencies_bucket"
        _counter(world, name, {"le": le, **BALANCER}, np.maximum(answered - over, 0))
