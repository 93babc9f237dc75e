"""Who is told, and what is on record."""

from infra.policies.plan import Resource
from infra.policies.policy import other_than, policy, require, unset

ALERT, CHANNEL = "google_monitoring_alert_policy", "google_monitoring_notification_channel"

require("alert-on", ALERT, "enabled", True, because="an alert that is switched off tells nobody")
require("channel-on", CHANNEL, "enabled", True, because="a channel that is switched off tells nobody")
require("channel-kept", CHANNEL, "force_delete", False, because="a channel that an alert needs cannot be deleted")


@policy("alert-heard", ALERT)
def alert_heard(r: Resource) -> str | None:
    """Somebody is told."""
    return None if r.at("notification_channels") else "notifies nobody"


@policy("alert-explained", ALERT)
def alert_explained(r: Resource) -> str | None:
    """Who is woken finds what is wrong, and the runbook."""
    if unset(r, "documentation.content"):
        return "says nothing of what is wrong"
    return "links to no runbook" if unset(r, "documentation.links.url") else None


@policy("alert-condition", ALERT)
def alert_condition(r: Resource) -> str | None:
    """A policy has a condition with an expression, and is there before its metric is; or it is on some log entries,
    or on what an SLO has left of its error budget."""
    if filters := r.at("conditions.condition_matched_log.filter"):
        if not all("resource.type=" in str(each) for each in filters):
            return "is on log entries of any resource"
        if unset(r, "alert_strategy.notification_rate_limit.period"):
            return "limits no notifications of log entries"
        # What Cloud Monitoring answers for such a policy, whatever was written.
        return other_than(r, "alert_strategy.notification_prompts", "OPENED")
    if filters := r.at("conditions.condition_threshold.filter"):
        budgets = all(str(each).startswith("select_slo_budget_fraction(") for each in filters)
        return None if budgets else "is on a metric and not in PromQL"
    queries = r.at("conditions.condition_prometheus_query_language.query")
    if not queries or not all(str(query).strip() for query in queries):
        return "has no condition in PromQL"
    return other_than(r, "conditions.condition_prometheus_query_language.disable_metric_validation", True)


@policy("alert-ends", ALERT)
def alert_ends(r: Resource) -> str | None:
    """Who is told of an incident is told of its end: PagerDuty resolves its own by that. Log entries have no end."""
    prompts = r.at("alert_strategy.notification_prompts")
    return (
        None if "CLOSED" in prompts or r.at("conditions.condition_matched_log.filter") else "reports no incident's end"
    )


@policy("uptime-encrypted", "google_monitoring_uptime_check_config")
def uptime_encrypted(r: Resource) -> str | None:
    """A check asks as callers do: encrypted, with a valid certificate."""
    return other_than(r, "http_check.use_ssl", True) or other_than(r, "http_check.validate_ssl", True)


@policy("logs-kept", "google_logging_project_bucket_config")
def logs_kept(r: Resource) -> str | None:
    """Logs are there for a month at least."""
    days = r.at("retention_days")
    return None if days and days[0] >= 30 else f"retention_days is {days[0] if days else 'not set'}"


require(
    "sink-own-writer",
    "google_logging_project_sink",
    "unique_writer_identity",
    True,
    because="a sink writes as an account of this project's sinks, not as one that all of Google's customers share",
)


@policy("exclusion-narrow", "google_logging_project_exclusion")
def exclusion_narrow(r: Resource) -> str | None:
    """What is not kept is named: by its log or what wrote it, and what."""
    filter_ = r.written("filter")
    return (
        None
        if any(name in filter_ for name in ("logName", "log_id(", "resource.type"))
        else f"leaves out {filter_ or 'everything'}"
    )


@policy("audit-complete", "google_project_iam_audit_config")
def audit_complete(r: Resource) -> str | None:
    """Who read and who wrote data is on record."""
    missing = {"DATA_READ", "DATA_WRITE"} - set(map(str, r.at("audit_log_config.log_type")))
    return f"does not log {', '.join(sorted(missing))}" if missing else None


@policy("budget-heard", "google_billing_budget")
def budget_heard(r: Resource) -> str | None:
    """Somebody is told before the money is spent."""
    shares = [share for share in r.at("threshold_rules.threshold_percent") if isinstance(share, int | float)]
    return None if any(share < 1 for share in shares) else "tells nobody before it is spent"


require(
    "api-stays-on",
    "google_project_service",
    "disable_on_destroy",
    False,
    because="destroying a stack switches off no API that others use",
)
