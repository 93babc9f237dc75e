"""Notification channels, a policy for each alert, dashboards, and a check from outside.

Limits of a policy: https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies
"""

from collections.abc import Iterable

from infra.bindings import (
    AlertChannelStrategy,
    AlertCondition,
    AlertDocumentation,
    AlertLink,
    AlertLogMatch,
    AlertPolicy,
    AlertPromql,
    AlertRateLimit,
    AlertStrategy,
    Fn,
    MonitoringDashboard,
    NotificationChannel,
    NotificationSecrets,
    TerraformStack,
    TerraformVariable,
    UptimeCheck,
    UptimeContent,
    UptimeHttp,
    UptimeResource,
    UptimeStatus,
)
from infra.components.objectives import add_objectives
from infra.components.on_call import add_on_call
from infra.environment import Environment
from monitoring import limits
from monitoring.alerts import Alert, Severity
from monitoring.dashboards import cloud
from monitoring.dashboards.panel import Dashboard
from monitoring.review.notification import CONSOLE, REMINDER, notification
from monitoring.slos import Slo

REPORT = "weekly report at"  # how the line starts that the job `report` logs: service.lifecycle.report.MAIL

SEVERITY = {Severity.PAGE: "CRITICAL", Severity.TICKET: "WARNING"}


def literal(text: str) -> str:
    """`text` as Terraform must read it to see no template in it: PromQL may hold `%{`, a summary `${`."""
    return text.replace("${", "$${").replace("%{", "%%{")


class AlertingStack(TerraformStack):
    """Pages go to PagerDuty, with a mail behind it, where the environment pages; everything else by mail.

    A mail about a ticket comes again each day until the ticket is closed. Where tickets have an owner in PagerDuty it
    has them too.
    """

    def __init__(
        self,
        scope: object,
        id: str,
        *,
        env: Environment,
        alerts: Iterable[Alert],
        dashboards: Iterable[Dashboard],
        health_path: str,
        slos: Iterable[Slo] = (),
    ) -> None:
        """`health_path` is what the front door answers to anybody. Raises LimitExceeded for an alert or a
        dashboard that Cloud Monitoring would not take."""
        alerts, dashboards = tuple(alerts), tuple(dashboards)
        limits.check(alerts)
        super().__init__(scope, id)
        mail = self._mail("mail", f"Lead scoring tickets ({env.id})", env.ticket_email)
        channels = {Severity.PAGE: [mail], Severity.TICKET: [mail]}
        if env.pages:
            backup = self._mail("page_backup", f"Lead scoring pages by mail ({env.id})", str(env.page_backup_email))
            pages, tickets = add_on_call(self, env) if env.on_call else (self._key(), None)
            channels[Severity.PAGE] = [self._pagerduty("pagerduty", f"Lead scoring pages ({env.id})", pages), backup]
            if tickets:
                owner = self._pagerduty("pagerduty_owner", f"Lead scoring tickets' owner ({env.id})", tickets)
                channels[Severity.TICKET] = [owner, mail]
        addresses = {dashboard.id: self._dashboard(env, dashboard) for dashboard in dashboards}
        for alert in alerts:
            reminded = [mail] if mail in channels[alert.severity] else []
            self._policy(env, alert, channels[alert.severity], reminded, dashboards, addresses)
        add_objectives(self, env, slos, channels[Severity.PAGE])
        self._uptime(env, health_path)
        if env.report_email:
            self._report(env, self._mail("report_mail", f"Lead scoring weekly report ({env.id})", env.report_email))

    def _mail(self, id: str, name: str, address: str) -> str:
        channel = NotificationChannel(
            self,
            id,
            type="email",
            display_name=name,
            labels={"email_address": address},
            enabled=True,
            force_delete=False,
        )
        return str(channel.name)

    def _key(self) -> str:
        # The value comes with TF_VAR_pagerduty_key; with this provider version the state holds it too.
        key = TerraformVariable(
            self,
            "pagerduty_key",
            type="string",
            sensitive=True,
            nullable=False,
            description="Integration key (Events API v2) of the PagerDuty service that is paged.",
        )
        return str(key.string_value)

    def _pagerduty(self, id: str, name: str, key: str) -> str:
        channel = NotificationChannel(
            self,
            id,
            type="pagerduty",
            display_name=name,
            sensitive_labels=NotificationSecrets(service_key=key),
            enabled=True,
            force_delete=False,
        )
        return str(channel.name)

    def _dashboard(self, env: Environment, dashboard: Dashboard) -> str:
        """Make a dashboard. Returns its address, which holds an id of Google's choice."""
        text = cloud.rendered(dashboard, environment=env.id, runbooks_url=str(env.runbooks_url))
        made = MonitoringDashboard(self, f"dashboard_{dashboard.id}", dashboard_json=literal(text))
        # Its id is projects/PROJECT/dashboards/ID: https://registry.terraform.io/providers/hashicorp/google/6.50.0/docs/
        # resources/monitoring_dashboard
        return f"{CONSOLE}/dashboards/builder/{Fn.element(Fn.split('/', made.id), 3)}?project={env.project}"

    def _policy(
        self,
        env: Environment,
        alert: Alert,
        channels: list[str],
        reminded: list[str],
        dashboards: tuple[Dashboard, ...],
        addresses: dict[str, str],
    ) -> None:
        """The policy of `alert`. `reminded` are the channels that hear of an open incident again each day."""
        told = notification(
            alert, dashboards, environment=env.id, project=env.project, runbooks_url=str(env.runbooks_url)
        )
        links = [AlertLink(display_name="Runbook", url=told.runbook)]
        if told.dashboard:
            links.append(AlertLink(display_name=told.dashboard.title, url=addresses[told.dashboard.id]))
        again = AlertChannelStrategy(
            notification_channel_names=reminded, renotify_interval=f"{REMINDER.total_seconds():.0f}s"
        )
        AlertPolicy(
            self,
            alert.name,
            display_name=f"{alert.name} ({env.id})",
            combiner="OR",
            enabled=True,
            severity=SEVERITY[alert.severity],
            user_labels={"environment": env.id, "severity": alert.severity.value},
            notification_channels=channels,
            conditions=[
                AlertCondition(
                    display_name=alert.name,
                    condition_prometheus_query_language=AlertPromql(
                        query=literal(alert.expr),
                        duration=f"{alert.hold.total_seconds():.0f}s",
                        evaluation_interval=f"{limits.evaluation_interval(alert).total_seconds():.0f}s",
                        rule_group="leadscoring",
                        alert_rule=alert.name,
                        # A policy must be there before the first request writes the first metric.
                        disable_metric_validation=True,
                    ),
                )
            ],
            alert_strategy=AlertStrategy(
                # No data for a day: what was wrong has been switched off, and the incident with it.
                auto_close="86400s",
                # An incident's end resolves it in PagerDuty. Cloud Monitoring answers both where none is given
                # (https://github.com/GoogleCloudPlatform/magic-modules/pull/12052), so later plans would show a change.
                notification_prompts=["OPENED", "CLOSED"],
                notification_channel_strategy=[again] if reminded else [],
            ),
            documentation=AlertDocumentation(
                mime_type="text/markdown", subject=told.subject, content=literal(told.content), links=links
            ),
        )

    def _report(self, env: Environment, channel: str) -> None:
        """A mail with the weekly report's headline and address, once the job has logged them.

        Notification channels take no attachment. Sending mail ourselves would need a mail server's password and egress
        to it. So the report stays in its bucket, where access is granted and revoked. Extracted labels:
        https://cloud.google.com/logging/docs/alerting/log-based-alerts
        """
        job = f'resource.type="cloud_run_job" AND resource.labels.job_name="{env.name("report")}"'
        AlertPolicy(
            self,
            "weekly_report",
            display_name=f"Weekly report ({env.id})",
            combiner="OR",
            enabled=True,
            user_labels={"environment": env.id},
            notification_channels=[channel],
            conditions=[
                AlertCondition(
                    display_name="A weekly report was written",
                    condition_matched_log=AlertLogMatch(
                        filter=f'{job} AND textPayload:"{REPORT}"',
                        label_extractors={
                            "address": f'REGEXP_EXTRACT(textPayload, "{REPORT} (https://[^ ]+)")',
                            "headline": f'REGEXP_EXTRACT(textPayload, "{REPORT} https://[^ ]+ says: (.+)")',
                        },
                    ),
                )
            ],
            # The incident reports no fault: it closes after the shortest time that Cloud Monitoring allows.
            alert_strategy=AlertStrategy(
                auto_close="1800s",
                # Cloud Monitoring always answers this for a policy on logs: left out, every later plan shows a change.
                # https://cloud.google.com/php/docs/reference/cloud-monitoring/latest/V3.AlertPolicy.AlertStrategy
                notification_prompts=["OPENED"],
                notification_rate_limit=AlertRateLimit(period="3600s"),
            ),
            documentation=AlertDocumentation(
                mime_type="text/markdown",
                subject=f"[{env.id}] Lead scoring: this week's report",
                content=literal(
                    "${log.extracted_label.headline}\n\nThe report: ${log.extracted_label.address}\n\n"
                    "Cloud Monitoring mails this as an incident. Nothing is wrong."
                ),
                links=[AlertLink(display_name="Where no report comes", url=f"{env.runbooks_url}/jobs.md")],
            ),
        )

    def _uptime(self, env: Environment, path: str) -> None:
        """Asks from four continents, as a caller would but for the sign-in, which a check cannot do."""
        UptimeCheck(
            self,
            "front_door",
            display_name=f"Lead scoring front door ({env.id})",
            period="60s",
            timeout="10s",
            checker_type="STATIC_IP_CHECKERS",
            selected_regions=["USA", "EUROPE", "SOUTH_AMERICA", "ASIA_PACIFIC"],
            log_check_failures=True,
            monitored_resource=UptimeResource(
                type="uptime_url", labels={"project_id": env.project, "host": env.domain}
            ),
            http_check=UptimeHttp(
                request_method="GET",
                path=path,
                port=443,
                use_ssl=True,
                validate_ssl=True,
                accepted_response_status_codes=[UptimeStatus(status_class="STATUS_CLASS_2XX")],
            ),
            content_matchers=[UptimeContent(matcher="CONTAINS_STRING", content="ready")],
        )
