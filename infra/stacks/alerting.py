"""Who is told what: notification channels, and one policy for each alert of the catalogue.

Limits of a policy: https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies
"""

from collections.abc import Iterable

from infra.bindings import (
    AlertCondition,
    AlertDocumentation,
    AlertLink,
    AlertPolicy,
    AlertPromql,
    AlertStrategy,
    NotificationChannel,
    NotificationSecrets,
    TerraformStack,
    TerraformVariable,
)
from infra.environment import Environment
from monitoring.alerts import Alert, Severity

SEVERITY = {Severity.PAGE: "CRITICAL", Severity.TICKET: "WARNING"}


def literal(text: str) -> str:
    """`text` as Terraform must read it to see no template in it: PromQL may hold `%{`, a summary `${`."""
    return text.replace("${", "$${").replace("%{", "%%{")


class AlertingStack(TerraformStack):
    """Pages go to PagerDuty where the environment pages, everything else by mail."""

    def __init__(self, scope: object, id: str, *, env: Environment, alerts: Iterable[Alert]) -> None:
        super().__init__(scope, id)
        mail = NotificationChannel(
            self,
            "mail",
            type="email",
            display_name=f"Lead scoring tickets ({env.id})",
            labels={"email_address": env.ticket_email},
            enabled=True,
            force_delete=False,
        )
        channels = {Severity.PAGE: mail.name, Severity.TICKET: mail.name}
        if env.pages:
            channels[Severity.PAGE] = self._pagerduty(env)
        for alert in alerts:
            self._policy(env, alert, channels[alert.severity])

    def _pagerduty(self, env: Environment) -> str:
        # The value comes with TF_VAR_pagerduty_key; with this provider version the state holds it too.
        key = TerraformVariable(
            self,
            "pagerduty_key",
            type="string",
            sensitive=True,
            nullable=False,
            description="Integration key (Events API v2) of the PagerDuty service that is paged.",
        )
        channel = NotificationChannel(
            self,
            "pagerduty",
            type="pagerduty",
            display_name=f"Lead scoring pages ({env.id})",
            sensitive_labels=NotificationSecrets(service_key=key.string_value),
            enabled=True,
            force_delete=False,
        )
        return str(channel.name)

    def _policy(self, env: Environment, alert: Alert, channel: str) -> None:
        AlertPolicy(
            self,
            alert.name,
            display_name=f"{alert.name} ({env.id})",
            combiner="OR",
            enabled=True,
            severity=SEVERITY[alert.severity],
            user_labels={"environment": env.id, "severity": alert.severity.value},
            notification_channels=[channel],
            conditions=[
                AlertCondition(
                    display_name=alert.name,
                    condition_prometheus_query_language=AlertPromql(
                        query=literal(alert.expr),
                        duration=f"{alert.hold.total_seconds():.0f}s",
                        evaluation_interval="60s",  # Google's own metrics come in steps of 60 s
                        rule_group="leadscoring",
                        alert_rule=alert.name,
                        # A policy must be there before the first request writes the first metric.
                        disable_metric_validation=True,
                    ),
                )
            ],
            # No data for a day: what was wrong has been switched off, and the incident with it.
            alert_strategy=AlertStrategy(auto_close="86400s"),
            documentation=AlertDocumentation(
                mime_type="text/markdown",
                subject=f"[{env.id}] {alert.name}",
                content=literal(alert.summary),
                links=[AlertLink(display_name="Runbook", url=f"{env.runbooks_url}/{alert.runbook}")],
            ),
        )
