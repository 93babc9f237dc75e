"""Labels and values that production has beside those that a story names."""

from monitoring import google

RESOURCES = {
    "kubernetes_io:container": ("project_id", "location", "cluster_name", "namespace_name", "pod_name"),
    "loadbalancing_googleapis_com:https": (
        "project_id",
        "region",
        "url_map_name",
        "forwarding_rule_name",
        "target_proxy_name",
        "backend_target_name",
        "backend_target_type",
        "backend_name",
        "backend_type",
        "backend_scope",
        "backend_scope_type",
    ),
    "networksecurity_googleapis_com:https": ("project_id", "policy_name"),
    "router_googleapis_com:nat": ("project_id", "region", "router_id", "gateway_name"),
    "monitoring_googleapis_com:uptime_check": ("project_id", "check_id", "checker_location", "checked_resource_id"),
    "run_googleapis_com:job": ("project_id", "location", "job_name"),
    "run_googleapis_com:": ("project_id", "location", "service_name"),
    "cloudsql_googleapis_com:database": ("project_id", "region", "database_id"),
    "leadscoring_": ("project_id", "location", "instance"),
    "kube_": ("project_id", "location", "cluster", "namespace", "instance"),
}
"""Labels of the resource, by the beginning of a metric's name: https://cloud.google.com/monitoring/api/resources
Those of a job's and a pod's own metrics: https://cloud.google.com/monitoring/api/resources#tag_prometheus_target
"""

BESIDE = ("project_id", "location", "zone", "pod", "instance")
"""In which two pods differ, of one environment or of two."""

VALUES = {
    "status": ("404", "503", "500", "429", "401", "200"),
    "response_code": ("404", "503", "500", "403", "401", "200"),
    "response_code_class": ("400", "500", "200", "4xx", "5xx", "2xx"),
    "matched_url_path_rule": ("/v1/score", "/v1/score/cells", "UNMATCHED"),
    "route": ("/v1/score/cells", "/v1/model", "/v1/score", "/healthz", "/metrics", "/readyz"),
    "le": ("0.1", "0.25", "0.5", "+Inf"),
    "result": ("failed", "succeeded"),
    "blocked": ("true", "false"),
    "memory_type": ("evictable", "non-evictable"),
}
"""What a label can be, beside what nothing is called; of two that a selector takes alike the first stands beside."""


def documented(name: str) -> dict[str, str]:
    """The labels that every series of this name has, with a value of no meaning."""
    known = google.of(name)
    of_resource = next((labels for begin, labels in RESOURCES.items() if name.startswith(begin)), ())
    labels = (*of_resource, *(known.labels if known else ()))
    return {label: "first" for label in labels if label not in VALUES}
