"""What Google normalises, injects, reorders or changes by itself after an apply, as the provider 6.50.0 reads it.

The stand-in's reads report it, so a second plan must accept it. Where the provider's code ignores a difference, so does
the stand-in's plan. Pull requests are of https://github.com/hashicorp/terraform-provider-google, files of its tag
v6.50.0.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fact:
    """What a refresh reports of one type, and where that was read."""

    type: str
    source: str
    change: Callable[[State], State]


def reported(type_name: str, state: State) -> State:
    """The state of a resource as a refresh reports it."""
    for fact in FACTS:
        if fact.type == type_name:
            state = fact.change(state)
    return state


def suppressed(type_name: str, prior: State, planned: State) -> State:
    """`planned` with those values of `prior` that the provider takes for the same (DiffSuppressFunc)."""
    if type_name != DASHBOARD or not all(isinstance(s["dashboard_json"], str) for s in (prior, planned)):
        return planned
    before, after = json.loads(prior["dashboard_json"]), json.loads(planned["dashboard_json"])
    same = _without_computed(before, after) == after
    return planned | {"dashboard_json": prior["dashboard_json"]} if same else planned


def _inner(state: State, path: str, change: Callable[[State], State]) -> State:
    """`state` with every block at a path changed: template.containers.resources."""
    name, _, rest = path.partition(".")
    blocks = [_inner(block, rest, change) if rest else change(block) for block in state.get(name) or []]
    return state | {name: blocks} if blocks else state


def _grow_disk(settings: State) -> State:
    size, resizes = settings["disk_size"], settings["disk_autoresize"] is not False  # true is the default
    return settings | {"disk_size": size + 1} if size and resizes else settings


def _enumerated(order: Sequence[str]) -> Callable[[State], State]:
    """Components in the order of the API's enumeration."""

    def change(config: State) -> State:
        known = sorted(config["enable_components"] or [], key=lambda name: order.index(name) if name in order else -1)
        return config | {"enable_components": known}

    return change


def _closed(cluster: State) -> State:
    """Without IP endpoints the API decides this: the provider does not send it, and reads what it finds."""
    ip = [
        ip for control in cluster.get("control_plane_endpoints_config") or [] for ip in control["ip_endpoints_config"]
    ]
    if not any(each["enabled"] is False for each in ip):
        return cluster
    return _inner(cluster, "private_cluster_config", lambda private: private | {"enable_private_endpoint": False})


def _service_scaling(service: State) -> State:
    """Not set it comes back; set to its defaults it does not."""
    if not service.get("scaling"):
        return service | {"scaling": [{"manual_instance_count": 0, "min_instance_count": 0, "scaling_mode": ""}]}
    given = [value for scaling in service["scaling"] for value in scaling.values()]
    return service if any(value not in (None, 0, "", "AUTOMATIC") for value in given) else service | {"scaling": []}


def _authorized(target: State) -> State:
    if not (target.get("oauth_token") or target.get("oidc_token")):
        return target
    return target | {"headers": (target.get("headers") or {}) | {"Authorization": "rehearsed-token"}}


def _no_adaptive_protection(policy: State) -> State:
    if policy.get("adaptive_protection_config"):
        return policy
    layer_7: State = {"enable": False, "rule_visibility": "", "threshold_configs": []}
    return policy | {"adaptive_protection_config": [{"layer_7_ddos_defense_config": [layer_7]}]}


def _prompted(policy: State) -> State:
    """Of an incident's begin and end people are told unless it is said; log entries have no end."""
    on_logs = any(condition.get("condition_matched_log") for condition in policy.get("conditions") or [])
    always, default = (["OPENED"], []) if on_logs else ([], ["OPENED", "CLOSED"])
    return _inner(
        policy,
        "alert_strategy",
        lambda strategy: strategy | {"notification_prompts": always or strategy["notification_prompts"] or default},
    )


def _dashboard(state: State) -> State:
    """Zeros and empty values are left out, as proto3's JSON does; a name and an entity tag are added."""
    if not isinstance(state.get("dashboard_json"), str):
        return state
    shown = _present(json.loads(state["dashboard_json"]))
    text = json.dumps(shown | {"name": "projects/1/dashboards/rehearsed", "etag": "rehearsed"}, sort_keys=True)
    return state | {"dashboard_json": text}


def _present(message: Any) -> Any:
    if isinstance(message, list):
        return [_present(item) for item in message]
    if not isinstance(message, Mapping):
        return message
    return {name: value if name in MAPS else _present(value) for name, value in message.items() if value not in ABSENT}


def _without_computed(before: Any, after: Any) -> Any:
    """`before` without the keys that `after` lacks: removeComputedKeys in resource_monitoring_dashboard.go."""
    if isinstance(before, dict) and isinstance(after, dict):
        return {k: _without_computed(v, after[k]) for k, v in before.items() if after.get(k) is not None}
    if isinstance(before, list) and isinstance(after, list):
        return [*(_without_computed(*pair) for pair in zip(before, after, strict=False)), *before[len(after) :]]
    return before


DASHBOARD = "google_monitoring_dashboard"
MAPS = frozenset({"labels"})  # of strings by strings: an empty value is one
ABSENT: tuple[Any, ...] = (0, "", [], {}, None)  # false equals 0

# `Valid values include` of both arguments, in resource_container_cluster.go. They are lists, and sets from 8.0.
LOGGED = (
    *("SYSTEM_COMPONENTS", "APISERVER", "CONTROLLER_MANAGER", "KCP_CONNECTION", "KCP_SSHD", "KCP_HPA"),
    *("SCHEDULER", "WORKLOADS"),
)
MEASURED = (
    *("SYSTEM_COMPONENTS", "APISERVER", "SCHEDULER", "CONTROLLER_MANAGER", "STORAGE", "HPA", "POD", "DAEMONSET"),
    *("DEPLOYMENT", "STATEFULSET", "KUBELET", "CADVISOR", "DCGM", "JOBSET"),
)


def _facts() -> Iterator[Fact]:
    cluster, run, policy = "google_container_cluster", "google_cloud_run_v2_service", "google_compute_security_policy"
    backend, peering = "google_compute_backend_service", "google_service_networking_connection"
    in_cluster = "google/services/container/resource_container_cluster.go"

    def block(type_name: str, source: str, path: str, change: Callable[[State], State]) -> Fact:
        return Fact(type_name, source, lambda state: _inner(state, path, change))

    yield block(
        "google_sql_database_instance",
        "https://cloud.google.com/sql/docs/postgres/instance-settings#automatic-storage-increase-2ndgen",
        "settings",
        _grow_disk,
    )
    yield Fact(cluster, "pull request 25323", lambda state: state | {"enable_l4_ilb_subsetting": True})
    yield block(
        cluster,
        "pull request 27040",
        "database_encryption",
        lambda b: b | {"state": "ALL_OBJECTS_ENCRYPTION_ENABLED"} if b["state"] == "ENCRYPTED" else b,
    )
    yield Fact(cluster, "https://github.com/GoogleCloudPlatform/magic-modules/pull/18386", _closed)
    yield block(cluster, in_cluster, "logging_config", _enumerated(LOGGED))
    yield block(cluster, in_cluster, "monitoring_config", _enumerated(MEASURED))
    yield Fact(run, "pull requests 25310 and 25569", _service_scaling)
    yield block(
        run,
        "pull request 28644",
        "template.scaling",
        lambda b: b | {"max_instance_count": b["max_instance_count"] or 100},
    )
    yield block(
        run,
        "pull request 28670",
        "template.containers.resources",
        lambda b: b | {"limits": {"cpu": "1000m"} | b["limits"]} if b.get("limits") else b,
    )
    yield block("google_cloud_scheduler_job", "pull request 27173", "http_target", _authorized)
    yield block(
        backend, "pull request 26975", "iap", lambda b: b | {"oauth2_client_id": b.get("oauth2_client_id") or " "}
    )
    yield Fact(policy, "pull requests 26692 and 28751", _no_adaptive_protection)
    yield Fact(policy, "pull request 27754", lambda s: s | {"rule": list(reversed(s.get("rule") or []))})
    yield Fact(
        peering,
        "pull request 27132",
        lambda s: s | {"reserved_peering_ranges": list(reversed(s["reserved_peering_ranges"] or []))},
    )
    yield Fact(
        "google_monitoring_alert_policy",
        "https://github.com/GoogleCloudPlatform/magic-modules/pull/12052 and google/monitoring/v3/alert.proto",
        _prompted,
    )
    yield Fact(DASHBOARD, "https://protobuf.dev/programming-guides/json/#presence", _dashboard)


FACTS = tuple(_facts())
