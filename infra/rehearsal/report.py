"""A plan as a reviewer reads it: what is added, changed, destroyed, and the values that matter."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from infra.rehearsal import provider_facts, rules
from infra.rehearsal.masking import Plan
from infra.rehearsal.steps import Planned

LIMITS = """\
A rehearsal is not the cloud. It knows the provider's schema; the rules of its code and what replaces a resource, for \
the Google types in its table; the values that Google is known to change; protections, and names that stay taken. It \
cannot know: what the provider checks by a function (names, times, address ranges) or Google's API alone; quotas and \
billing; names that others have taken; how long anything takes; what is deployed already. Values beginning with \
`rehearsed-` are made up."""


def without_rules(resources: Iterable[str]) -> str:
    """The resource types of which no table here has what the provider's code refuses or replaces."""
    unknown = rules.unknown(resources)
    return f"\nNo rules of the provider's code are known of: {', '.join(unknown)}" if unknown else ""


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

# The arguments that decide whether a plan is right, for the types in use; `*` is each element of a list. Resources of
# other types show their name.
MATTERS: dict[str, tuple[str, ...]] = {
    "google_artifact_registry_repository": (
        "repository_id",
        "docker_config.*.immutable_tags",
        "vulnerability_scanning_config.*.enablement_config",
    ),
    "google_monitoring_alert_policy": (
        "severity",
        "notification_channels",
        "conditions.*.condition_prometheus_query_language.*.duration",
        "conditions.*.condition_prometheus_query_language.*.query",
    ),
    "google_monitoring_dashboard": (),  # a page of JSON each, made of the alerts; monitoring/dashboards shows them
    "google_monitoring_slo": ("slo_id", "goal", "rolling_period_days"),
    "google_monitoring_notification_channel": ("type", "enabled", "labels"),
    "google_project_iam_member": ("role", "member", "condition.*.expression"),
    "google_project_service": ("service", "disable_on_destroy"),
    "google_service_account": ("account_id",),
    "google_storage_bucket": (
        "name",
        "location",
        "public_access_prevention",
        "uniform_bucket_level_access",
        "versioning.*.enabled",
        "soft_delete_policy.*.retention_duration_seconds",
        "lifecycle_rule.*",
        "logging.*.log_bucket",
    ),
    "google_storage_bucket_iam_member": ("bucket", "role", "member", "condition.*.expression"),
    "google_certificate_manager_certificate": ("name", "managed.*.domains"),
    "google_certificate_manager_dns_authorization": ("domain",),
    "google_cloud_run_v2_job": (
        "name",
        "template.*.template.*.containers.*.image",
        "template.*.template.*.containers.*.args",
        "template.*.template.*.service_account",
        "template.*.task_count",
        "template.*.parallelism",
        "template.*.template.*.timeout",
        "template.*.template.*.max_retries",
        "template.*.template.*.vpc_access.*.egress",
    ),
    "google_cloud_run_v2_job_iam_member": ("name", "role", "member"),
    "google_cloud_scheduler_job": ("name", "schedule", "time_zone", "paused", "http_target.*.uri"),
    "google_compute_backend_service": (
        "name",
        "iap.*.enabled",
        "security_policy",
        "backend.*.group",
        "timeout_sec",
        "connection_draining_timeout_sec",
        "log_config.*.sample_rate",
    ),
    "google_compute_global_forwarding_rule": ("port_range", "load_balancing_scheme", "target"),
    "google_compute_health_check": ("http_health_check.*.request_path", "check_interval_sec"),
    "google_compute_security_policy": ("name", "rule.*"),
    "google_compute_ssl_policy": ("profile", "min_tls_version"),
    "google_compute_url_map": (
        "name",
        "host_rule.*.hosts",
        "default_service",
        "path_matcher.*.path_rule.*.paths",
        "default_url_redirect.*.https_redirect",
    ),
    "google_iam_workload_identity_pool_provider": ("oidc.*.issuer_uri", "attribute_condition", "disabled"),
    "google_iap_web_backend_service_iam_member": ("web_backend_service", "role", "member", "condition.*.expression"),
    "google_monitoring_uptime_check_config": (
        "display_name",
        "monitored_resource.*.labels.host",
        "http_check.*.path",
        "period",
        "http_check.*.validate_ssl",
    ),
    "google_cloud_run_v2_service": (
        "name",
        "ingress",
        "invoker_iam_disabled",
        "template.*.containers.*.image",
        "template.*.service_account",
        "template.*.scaling.*",
        "template.*.max_instance_request_concurrency",
        "template.*.containers.*.resources.*.limits",
        "template.*.containers.*.env.*.name",
        "template.*.vpc_access.*.egress",
        "template.*.vpc_access.*.network_interfaces.*.tags",
        "template.*.encryption_key",
        "binary_authorization.*.use_default",
    ),
    "google_sql_database_instance": (
        "name",
        "database_version",
        "settings.*.tier",
        "settings.*.availability_type",
        "deletion_protection",
        "settings.*.deletion_protection_enabled",
        "settings.*.ip_configuration.*.ipv4_enabled",
        "settings.*.ip_configuration.*.private_network",
        "settings.*.ip_configuration.*.ssl_mode",
        "settings.*.backup_configuration.*.enabled",
        "settings.*.backup_configuration.*.backup_retention_settings.*.retained_backups",
        "settings.*.backup_configuration.*.point_in_time_recovery_enabled",
        "settings.*.backup_configuration.*.transaction_log_retention_days",
        "settings.*.database_flags.*",
        "encryption_key_name",
    ),
    "google_service_account_iam_member": ("service_account_id", "role", "member"),
    "kubernetes_config_map_v1": ("metadata.*.namespace", "metadata.*.name"),
    "kubernetes_manifest": (
        "manifest.kind",
        "manifest.metadata.namespace",
        "manifest.metadata.name",
        "manifest.metadata.annotations",
        "manifest.spec.minReplicas",
        "manifest.spec.maxReplicas",
        "manifest.spec.template.spec.containers.*.image",
        "manifest.spec.template.spec.containers.*.resources",
        "manifest.spec.template.spec.containers.*.env.*",
        "manifest.spec.hard",
        "manifest.spec.ingress.*",
        "manifest.spec.egress.*",
    ),
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


def values(plan: Plan, resource: dict[str, Any], otherwise: Iterable[str] = ("name",)) -> Iterator[tuple[str, str]]:
    """The arguments that matter of a resource of the plan, or those `otherwise`, for a type not in `MATTERS`."""
    change = resource["change"]
    after, unknown = change.get("after") or change.get("before") or {}, change.get("after_unknown") or {}
    for path in MATTERS.get(resource["type"], otherwise):
        steps = path.split(".")
        name = argument(path)
        if any(map(_holds, at(unknown, steps))):
            references = expressions(plan, resource["address"]).get(steps[0], {})
            named = references.get("references", []) if isinstance(references, dict) else []
            yield name, f"from {named[0]}" if named else LATER
        elif found := list(at(after, steps)):
            yield name, "; ".join(map(_text, found))


def argument(path: str) -> str:
    """The path of an argument as it is shown: `settings.*.tier` is `settings.tier`."""
    return path.replace(".*", "")


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
