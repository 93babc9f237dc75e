"""Who may do what, and what the internet reaches, in a plan: before it and after it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from infra.rehearsal import report
from infra.rehearsal.masking import Plan

Values = dict[str, Any]

EVERYBODY = ("allUsers", "allAuthenticatedUsers")
WORLD = ("0.0.0.0/0", "::/0")
# What of a grant is neither who, nor what, nor on what.
_NOT_THE_TARGET = {"id", "etag", "role", "member", "members", "condition", "project", "location", "region"}


@dataclass(slots=True)
class Access:
    """What is true on one side of a change."""

    identities: set[str] = field(default_factory=set)
    grants: set[str] = field(default_factory=set)
    exposure: set[str] = field(default_factory=set)

    def add(self, type_name: str, name: str, values: Values) -> None:
        """Take in a resource."""
        self.identities.update(_identities(type_name, values))
        self.grants.update(_grants(type_name, values))
        self.exposure.update(f"{name}: {what}" for what in _exposure(type_name, values))


def sides(plans: list[Plan]) -> tuple[Access, Access]:
    """Access before and after these plans."""
    before, after = Access(), Access()
    for plan in plans:
        for resource in plan.get("resource_changes", []):
            if resource["mode"] != "managed":
                continue
            name, change = f"{resource['type']}.{resource['name']}", resource["change"]
            if change.get("before"):
                before.add(resource["type"], name, change["before"])
            if change.get("after"):
                after.add(resource["type"], name, _settled(plan, resource))
    return before, after


def _settled(plan: Plan, resource: dict[str, Any]) -> Values:
    """The values after, with a reference in place of what is known only after apply."""
    unknown = resource["change"].get("after_unknown", {})
    arguments = report.expressions(plan, resource["address"])
    references = {
        name: f"from {arguments[name]['references'][0]}"
        for name in arguments
        if unknown.get(name) is True and isinstance(arguments[name], dict) and arguments[name].get("references")
    }
    return {**resource["change"]["after"], **references}


def _identities(type_name: str, values: Values) -> Iterator[str]:
    if type_name == "google_service_account":
        yield f"service account {values['account_id']}"
    elif type_name == "google_iam_workload_identity_pool_provider":
        condition = values.get("attribute_condition")
        yield f"federated identity {values['workload_identity_pool_provider_id']}, if {condition}"
    elif type_name == "google_sql_user":
        yield f"database user {values['name']} ({values.get('type') or 'BUILT_IN'})"


def _grants(type_name: str, values: Values) -> Iterator[str]:
    if not type_name.endswith(("_iam_member", "_iam_binding")):
        return
    on = [str(v) for name, v in sorted(values.items()) if name not in _NOT_THE_TARGET and isinstance(v, str)]
    where = f"{type_name.partition('_')[2].rpartition('_iam_')[0].replace('_', ' ')} {' '.join(on)}".strip()
    for member in values.get("members") or [values.get("member")]:
        conditions = [f", if {condition['expression']}" for condition in values.get("condition") or []]
        yield f"{member} is {values['role']} on {where}{''.join(conditions)}"


def _exposure(type_name: str, values: Values) -> Iterator[str]:
    """What lets the internet in, or nearer."""
    members = [values.get("member"), *(values.get("members") or [])]
    if any(member in EVERYBODY for member in members):
        yield f"{values['role']} for everybody on the internet"
    match type_name:
        case "google_compute_firewall" if values.get("direction") != "EGRESS" and values.get("allow"):
            if open_to := [cidr for cidr in values.get("source_ranges") or [] if cidr in WORLD]:
                yield f"lets {', '.join(open_to)} in"
        case "google_compute_global_forwarding_rule" | "google_compute_forwarding_rule":
            if str(values.get("load_balancing_scheme")).startswith("EXTERNAL"):
                yield f"answers the internet on port {values.get('port_range')}"
        case "google_compute_backend_service" if str(values.get("load_balancing_scheme")).startswith("EXTERNAL"):
            if not any(iap.get("enabled") for iap in values.get("iap") or []):
                yield "is behind no identity-aware proxy"
            if not values.get("security_policy"):
                yield "is behind no Cloud Armor policy"
        case "google_cloud_run_v2_service":
            if values.get("ingress") in (None, "INGRESS_TRAFFIC_ALL"):
                yield "takes requests from the internet"
            if values.get("invoker_iam_disabled"):
                yield "asks callers for no identity"
        case "google_container_cluster":
            yield from _cluster(values)
        case "google_sql_database_instance":
            for settings in values.get("settings") or []:
                for network in settings.get("ip_configuration") or []:
                    if network.get("ipv4_enabled") is not False:
                        yield "has a public address"
                    for allowed in network.get("authorized_networks") or []:
                        yield f"lets {allowed['value']} in"
        case "google_storage_bucket" if values.get("public_access_prevention") != "enforced":
            yield "can be made public"


def _cluster(values: Values) -> Iterator[str]:
    for private in values.get("private_cluster_config") or [{}]:
        if not private.get("enable_private_nodes"):
            yield "gives its nodes public addresses"
    for endpoints in values.get("control_plane_endpoints_config") or [{}]:
        if any(dns.get("allow_external_traffic") for dns in endpoints.get("dns_endpoint_config") or []):
            yield "has a control plane that IAM alone guards (DNS endpoint)"
        by_ip = endpoints.get("ip_endpoints_config") or [{"enabled": True}]
        private_only = any(p.get("enable_private_endpoint") for p in values.get("private_cluster_config") or [])
        if any(ip.get("enabled") is not False for ip in by_ip) and not private_only:
            yield "has a control plane with a public address"
