"""A plan as a reviewer reads it: what is added, changed, destroyed, and the values that matter."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.text import Text

from infra.rehearsal import provider_facts
from infra.rehearsal.masking import Plan
from infra.rehearsal.steps import Planned

LIMITS = """\
A rehearsal is not the cloud. It proves that the configuration is complete and well formed, that the \
stacks fit together, and that a second plan is empty. It cannot know: permissions, quotas and billing; \
names already taken; errors of Google's APIs; rules that only the provider's code holds (most patterns, \
conflicting arguments, what replaces a resource that holds nothing) and most defaults; what is deployed already. \
Values beginning with `rehearsed-` are made up. For the rest there is `scripts/plan ENV --real`."""


def examples(data_sources: Iterable[str]) -> str:
    """What a rehearsal took for the cloud's answers, for the data sources in use."""
    known = {
        type_name: provider_facts.EXAMPLES[type_name]
        for type_name in sorted(data_sources)
        if type_name in provider_facts.EXAMPLES
    }
    return "".join(
        f"\nFor an answer of {type_name}, {path}: {json.dumps(answer)}"
        for type_name, answers in known.items()
        for path, answer in answers.items()
    )


LATER = "(known after apply)"

# The values that decide whether a plan is right, for the types in use; others show their name.
MATTERS: dict[str, dict[str, str]] = {
    "google_artifact_registry_repository": {
        "repository": "repository_id",
        "immutable tags": "docker_config.*.immutable_tags",
        "scanning": "vulnerability_scanning_config.*.enablement_config",
    },
    "google_monitoring_alert_policy": {
        "severity": "severity",
        "tells": "notification_channels",
        "after": "conditions.*.condition_prometheus_query_language.*.duration",
        "query": "conditions.*.condition_prometheus_query_language.*.query",
    },
    "google_monitoring_dashboard": {},  # a page of JSON each, made of the alerts; monitoring/dashboards shows them
    "google_monitoring_notification_channel": {"type": "type", "enabled": "enabled", "labels": "labels"},
    "google_project_iam_member": {"role": "role", "to": "member", "if": "condition.*.expression"},
    "google_project_service": {"service": "service", "disabled on destroy": "disable_on_destroy"},
    "google_service_account": {"account": "account_id"},
    "google_storage_bucket": {
        "name": "name",
        "location": "location",
        "public access prevention": "public_access_prevention",
        "uniform access": "uniform_bucket_level_access",
        "versioning": "versioning.*.enabled",
        "soft delete, seconds": "soft_delete_policy.*.retention_duration_seconds",
        "lifecycle": "lifecycle_rule.*",
        "access log": "logging.*.log_bucket",
    },
    "google_storage_bucket_iam_member": {
        "bucket": "bucket",
        "role": "role",
        "to": "member",
        "if": "condition.*.expression",
    },
    "google_certificate_manager_certificate": {"name": "name", "domains": "managed.*.domains"},
    "google_certificate_manager_dns_authorization": {"domain": "domain"},
    "google_cloud_run_v2_job": {
        "name": "name",
        "image": "template.*.template.*.containers.*.image",
        "runs": "template.*.template.*.containers.*.args",
        "as": "template.*.template.*.service_account",
        "tasks": "template.*.task_count",
        "at once": "template.*.parallelism",
        "time limit": "template.*.template.*.timeout",
        "retries": "template.*.template.*.max_retries",
        "egress": "template.*.template.*.vpc_access.*.egress",
    },
    "google_cloud_run_v2_job_iam_member": {"job": "name", "role": "role", "to": "member"},
    "google_cloud_scheduler_job": {
        "name": "name",
        "schedule": "schedule",
        "time zone": "time_zone",
        "paused": "paused",
        "calls": "http_target.*.uri",
    },
    "google_compute_backend_service": {
        "name": "name",
        "IAP": "iap.*.enabled",
        "Cloud Armor": "security_policy",
        "groups": "backend.*.group",
        "answers within, seconds": "timeout_sec",
        "drains for, seconds": "connection_draining_timeout_sec",
        "logged share": "log_config.*.sample_rate",
    },
    "google_compute_global_forwarding_rule": {"port": "port_range", "scheme": "load_balancing_scheme", "to": "target"},
    "google_compute_health_check": {"asks": "http_health_check.*.request_path", "every, seconds": "check_interval_sec"},
    "google_compute_security_policy": {"name": "name", "rules": "rule.*"},
    "google_compute_ssl_policy": {"profile": "profile", "at least": "min_tls_version"},
    "google_compute_url_map": {
        "name": "name",
        "hosts": "host_rule.*.hosts",
        "else to": "default_service",
        "paths": "path_matcher.*.path_rule.*.paths",
        "redirects to HTTPS": "default_url_redirect.*.https_redirect",
    },
    "google_iam_workload_identity_pool_provider": {
        "issuer": "oidc.*.issuer_uri",
        "if": "attribute_condition",
        "disabled": "disabled",
    },
    "google_iap_web_backend_service_iam_member": {
        "backend": "web_backend_service",
        "role": "role",
        "to": "member",
        "if": "condition.*.expression",
    },
    "google_monitoring_uptime_check_config": {
        "name": "display_name",
        "host": "monitored_resource.*.labels.host",
        "path": "http_check.*.path",
        "every": "period",
        "verifies TLS": "http_check.*.validate_ssl",
    },
    "google_cloud_run_v2_service": {
        "name": "name",
        "ingress": "ingress",
        "open to all": "invoker_iam_disabled",
        "image": "template.*.containers.*.image",
        "as": "template.*.service_account",
        "instances": "template.*.scaling.*",
        "at once": "template.*.max_instance_request_concurrency",
        "size": "template.*.containers.*.resources.*.limits",
        "is told": "template.*.containers.*.env.*.name",
        "egress": "template.*.vpc_access.*.egress",
        "tags": "template.*.vpc_access.*.network_interfaces.*.tags",
        "key": "template.*.encryption_key",
        "admission": "binary_authorization.*.use_default",
    },
    "google_sql_database_instance": {
        "name": "name",
        "version": "database_version",
        "size": "settings.*.tier",
        "availability": "settings.*.availability_type",
        "deletion protection": "deletion_protection",
        "deletion protection of its own": "settings.*.deletion_protection_enabled",
        "public address": "settings.*.ip_configuration.*.ipv4_enabled",
        "network": "settings.*.ip_configuration.*.private_network",
        "TLS": "settings.*.ip_configuration.*.ssl_mode",
        "backups": "settings.*.backup_configuration.*.enabled",
        "backups kept": "settings.*.backup_configuration.*.backup_retention_settings.*.retained_backups",
        "to any moment": "settings.*.backup_configuration.*.point_in_time_recovery_enabled",
        "of days": "settings.*.backup_configuration.*.transaction_log_retention_days",
        "flags": "settings.*.database_flags.*",
        "key": "encryption_key_name",
    },
    "google_service_account_iam_member": {"on": "service_account_id", "role": "role", "to": "member"},
    "kubernetes_config_map_v1": {"namespace": "metadata.*.namespace", "name": "metadata.*.name"},
    "kubernetes_manifest": {
        "kind": "manifest.kind",
        "namespace": "manifest.metadata.namespace",
        "name": "manifest.metadata.name",
        "annotations": "manifest.metadata.annotations",
        "least": "manifest.spec.minReplicas",
        "most": "manifest.spec.maxReplicas",
        "image": "manifest.spec.template.spec.containers.*.image",
        "resources": "manifest.spec.template.spec.containers.*.resources",
        "variables": "manifest.spec.template.spec.containers.*.env.*",
        "quota": "manifest.spec.hard",
        "ingress": "manifest.spec.ingress.*",
        "egress": "manifest.spec.egress.*",
    },
}

_VERBS = {
    "create": "add",
    "update": "change",
    "delete": "destroy",
    "delete,create": "replace",
    "create,delete": "replace",
}
_COLOURS = {"add": "green", "change": "yellow", "destroy": "red", "replace": "red"}


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """What happens to one resource."""

    verb: str  # add, change, replace, destroy
    type: str
    address: str
    values: tuple[tuple[str, str], ...]


def changes(plan: Plan) -> list[ResourceChange]:
    """Every resource that the plan changes."""
    found = []
    for resource in plan.get("resource_changes", []):
        verb = _VERBS.get(",".join(resource["change"]["actions"]))
        if verb:
            found.append(ResourceChange(verb, resource["type"], resource["address"], tuple(values(plan, resource))))
    return found


def show(console: Console, planned: Sequence[Planned]) -> None:
    """Each stack's changes: address by address, with the values that matter, all of them whole."""
    for each in planned:
        found = changes(each.plan)
        text = Text.assemble("\n", (each.stack, "bold"), f": {count(found)}\n")
        for change in found:
            text.append(f"  {change.verb} ", _COLOURS[change.verb]).append(f"{change.address}\n")
            for name, value in change.values:
                text.append(f"      {name} ", "dim").append(value.replace("\n", "\n        ") + "\n")
        console.print(text, soft_wrap=True, end="")


def count(found: Iterable[ResourceChange]) -> str:
    """`5 to add (2 google_storage_bucket, ...), 1 to destroy (...)`, or `no changes`."""
    verbs: dict[str, Counter[str]] = {}
    for change in found:
        verbs.setdefault(change.verb, Counter())[change.type] += 1
    return (
        "; ".join(
            f"{types.total()} to {verb} ({', '.join(f'{n} {t}' for t, n in sorted(types.items()))})"
            for verb, types in verbs.items()
        )
        or "no changes"
    )


def write(folder: Path, planned: Sequence[Planned], *, title: str, limits: str | None) -> Path:
    """Write `<stack>.json`, secrets masked, and report.md, all anew; returns the report's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    lines = [f"# {title}", ""]
    if limits:
        lines += [limits, ""]
    for each in planned:
        (folder / f"{each.stack}.json").write_text(json.dumps(each.plan, indent=1, sort_keys=True) + "\n")
        found = changes(each.plan)
        lines += [f"## {each.stack}", "", count(found), ""]
        if found:
            lines += ["| | resource | values that matter |", "|---|---|---|", *map(_row, found), ""]
    report = folder / "report.md"
    report.write_text("\n".join(lines))
    return report


def _row(change: ResourceChange) -> str:
    values = "<br>".join(f"{name} `{cell(value)}`" for name, value in change.values)
    return f"| {change.verb} | `{change.address}` | {values} |"


def cell(text: str) -> str:
    """The text in one line that fits into a cell of a Markdown table and into code."""
    return " ".join(text.split()).replace("|", "\\|").replace("`", "'")


def values(
    plan: Plan, resource: dict[str, Any], otherwise: Mapping[str, str] = MappingProxyType({"name": "name"})
) -> Iterator[tuple[str, str]]:
    """The values that matter of a resource of the plan, or those `otherwise`, for a type not in `MATTERS`."""
    change = resource["change"]
    after, unknown = change.get("after") or change.get("before") or {}, change.get("after_unknown") or {}
    for name, path in MATTERS.get(resource["type"], otherwise).items():
        steps = path.split(".")
        if any(map(_holds, at(unknown, steps))):
            references = expressions(plan, resource["address"]).get(steps[0], {})
            named = references.get("references", []) if isinstance(references, dict) else []
            yield name, f"from {named[0]}" if named else LATER
        elif found := list(at(after, steps)):
            yield name, "; ".join(map(_text, found))


def expressions(plan: Plan, address: str) -> dict[str, Any]:
    """What the configuration says of a resource: for each argument the references in it."""
    configured = plan["configuration"]["root_module"].get("resources", [])
    return next((r.get("expressions", {}) for r in configured if r["address"] == address), {})


def _holds(unknown: Any) -> bool:
    """Whether anything is unknown in what Terraform's after_unknown says of a value."""
    return any(map(_holds, unknown)) if isinstance(unknown, list) else unknown is True


def at(value: Any, steps: Sequence[str]) -> Iterator[Any]:
    """What is set at a path, where `*` stands for each element of a list."""
    if not steps:
        if value is not None:
            yield value
    elif steps[0] == "*" and isinstance(value, list):
        for element in value:
            yield from at(element, steps[1:])
    elif isinstance(value, dict):
        yield from at(value.get(steps[0]), steps[1:])


def _text(value: Any) -> str:
    """A value in one line; what is not set in a block is left out."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items() if _set(inner))
    if isinstance(value, list):
        return "; ".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value)


def _set(value: Any) -> bool:
    return value is not None and value is not False and value not in ("", [], {})
