import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from infra.bindings import App, GcsBackend, GoogleProvider
from infra.components.cloud_armor import HEALTH_PATH
from infra.environments import DEV, ENVIRONMENTS, PROD
from infra.policies import check, plan
from infra.policies.policy import POLICIES
from infra.rehearsal.masking import Plan
from infra.rehearsal.rehearse import rehearse
from infra.rehearsal.synthesis import read
from infra.rehearsal.terraform import Terraform
from infra.stacks.alerting import AlertingStack, literal
from monitoring import catalogue, prometheus
from monitoring.alerts import Alert, Severity
from monitoring.catalogue import promises
from monitoring.dashboards import cloud, dashboards
from monitoring.platform import Job, Platform
from service.lifecycle.report import MAIL
from tests.infra.conftest import Plans, Stacks, planned

RUNBOOKS = Path(__file__).parents[3] / "monitoring" / "runbooks"


def policies(plan: Plan) -> dict[str, dict[str, Any]]:
    return planned(plan, "google_monitoring_alert_policy")


def alerts(plans: Plans, env: str) -> tuple[Alert, ...]:
    """The catalogue for what the environment's plans schedule."""
    lifecycle, database = plans(env)["lifecycle"], plans(env)["database"]
    starts = planned(lifecycle, "google_cloud_scheduler_job")
    order = [job.name for job in Platform().jobs]
    jobs = tuple(
        Job(name, starts[f"{name}_schedule"]["schedule"], timedelta(seconds=int(seconds.removesuffix("s"))))
        for name, job in planned(lifecycle, "google_cloud_run_v2_job").items()
        if name in order
        for seconds in [job["template"][0]["template"][0]["timeout"]]
    )
    (instance,) = planned(database, "google_sql_database_instance").values()
    (most,) = (
        int(flag["value"]) for flag in instance["settings"][0]["database_flags"] if flag["name"] == "max_connections"
    )
    return catalogue.alerts(
        Platform(
            jobs=tuple(sorted(jobs, key=lambda job: order.index(job.name))),
            database_connections=most,
            leads_per_day=ENVIRONMENTS[env].leads_per_day,
            leads_per_request=ENVIRONMENTS[env].leads_per_request,
        )
    )


def promql(policy: dict[str, Any]) -> dict[str, Any]:
    (condition,) = policy["conditions"]
    (query,) = condition["condition_prometheus_query_language"]
    assert isinstance(query, dict)
    return query


def told(plan: Plan) -> dict[str, list[str]]:
    """For each policy the channels that it notifies, by their addresses."""
    return {
        resource["name"]: [
            r for r in resource["expressions"]["notification_channels"]["references"] if r.count(".") < 2
        ]
        for resource in plan["configuration"]["root_module"]["resources"]
        if resource["type"] == "google_monitoring_alert_policy"
    }


def test_every_alert_is_a_policy_with_the_very_expression(plans: Plans) -> None:
    for env in ("dev", "staging", "prod"):
        queries = {name: promql(policy)["query"] for name, policy in policies(plans(env)["alerting"]).items()}
        assert queries == {alert.name: alert.expr for alert in alerts(plans, env)}


def test_policies_and_the_prometheus_rule_file_say_the_same(plans: Plans) -> None:
    (group,) = yaml.safe_load(prometheus.rules(alerts(plans, "prod")))["groups"]
    rules = {rule["alert"]: rule for rule in group["rules"]}
    queries = {name: promql(policy) for name, policy in policies(plans("prod")["alerting"]).items()}
    assert queries.keys() == rules.keys()
    for name, query in queries.items():
        assert query["query"] == rules[name]["expr"]
        assert query["alert_rule"] == name
        assert query["rule_group"] == group["name"]


def test_an_expression_that_looks_like_a_terraform_template_arrives_as_it_was_written(
    engine: Terraform, tmp_path: Path
) -> None:
    expr = 'rate(a{b="${x} $${q}", c=~"\\\\d+$", y="%{y} %%{z} ä"}[5m])\n  * 0.5 > 1 # ${ %{'
    alert = Alert(
        name="Odd",
        expr=expr,
        hold=timedelta(minutes=5),
        severity=Severity.TICKET,
        summary="Cost of ${x} %{y}",
        runbook="odd.md",
        panel="Odd",
    )
    app = App(outdir=str(tmp_path))
    stack = AlertingStack(app, "dev-alerting", env=DEV, alerts=[alert], dashboards=[], health_path="/readyz")
    GoogleProvider(stack, "google", project=DEV.project)
    GcsBackend(stack, bucket="states", prefix="dev-alerting")
    app.synth()
    (result,) = rehearse(read(tmp_path), engine)
    policy = policies(result.plan)["Odd"]
    assert promql(policy)["query"] == expr
    assert promql(policy)["duration"] == "300s"
    assert promql(policy)["evaluation_interval"] == "60s"
    assert policy["documentation"][0]["content"].startswith(
        "Cost of ${x} %{y}\n\n- Where: ${metric_or_resource.labels}\n"
    )

    assert refused(tmp_path, result.plan) == []
    (strategy,) = policy["alert_strategy"]
    assert strategy["notification_prompts"] == ["OPENED", "CLOSED"]
    for prompts in (["OPENED"], None):
        strategy["notification_prompts"] = prompts
        assert refused(tmp_path, result.plan) == ["alert-ends"]


def test_the_weekly_reports_address_is_mailed_to_whom_the_environment_says(engine: Terraform, tmp_path: Path) -> None:
    env = DEV.model_copy(update={"report_email": "sales@acme.example"})
    app = App(outdir=str(tmp_path))
    stack = AlertingStack(app, "dev-alerting", env=env, alerts=[], dashboards=[], health_path="/readyz")
    GoogleProvider(stack, "google", project=DEV.project)
    GcsBackend(stack, bucket="states", prefix="dev-alerting")
    app.synth()
    (result,) = rehearse(read(tmp_path), engine)
    policy = policies(result.plan)["weekly_report"]
    assert told(result.plan)["weekly_report"] == ["google_monitoring_notification_channel.report_mail"]
    channel = planned(result.plan, "google_monitoring_notification_channel")["report_mail"]
    assert channel["labels"] == {"email_address": "sales@acme.example"}
    (match,) = policy["conditions"][0]["condition_matched_log"]
    assert f'resource.labels.job_name="{env.name("report")}"' in match["filter"]
    assert f'textPayload:"{MAIL}"' in match["filter"]
    url, headline = "https://storage.cloud.google.com/acme-leads-dev-models/reports/2026-03-02.pdf", "It earned 31,000."
    shown = {}
    for label, extractor in match["label_extractors"].items():
        field, expression = re.fullmatch(r'REGEXP_EXTRACT\((\w+), "(.*)"\)', extractor).groups()  # type: ignore[union-attr]
        assert field == "textPayload"
        shown[f"${{log.extracted_label.{label}}}"] = re.search(expression, f"{MAIL} {url} says: {headline}")[1]  # type: ignore[index]
    assert set(shown.values()) == {url, headline}
    assert all(variable in policy["documentation"][0]["content"] for variable in shown)
    # Both are needed by a policy on logs, and the least that Cloud Monitoring takes for the first is half an hour.
    assert policy["alert_strategy"] == [
        {
            "auto_close": "1800s",
            "notification_channel_strategy": [],
            "notification_prompts": ["OPENED"],
            "notification_rate_limit": [{"period": "3600s"}],
        }
    ]

    assert refused(tmp_path, result.plan) == []
    loud = result.plan["resource_changes"]
    (changed,) = (each["change"]["after"] for each in loud if each["name"] == "weekly_report")
    (strategy,) = changed["alert_strategy"]
    for name, other in (("notification_rate_limit", []), ("notification_prompts", None)):
        changed["alert_strategy"] = [strategy | {name: other}]
        assert refused(tmp_path, result.plan) == ["alert-condition"]


def refused(folder: Path, planned_stack: Plan) -> list[str]:
    """The policies that a plan breaks."""
    file = folder / "dev-alerting.json"
    file.write_text(json.dumps(planned_stack))
    judged = [resource for resource in plan.read(file).resources if resource.type not in check.HARMLESS]
    return [p.id for p in POLICIES.values() for r in judged if p.judges(r) and p.judge(r)]


def test_text_without_templates_is_left_alone() -> None:
    assert literal('up{a="b"} % 2 $1 {} %') == 'up{a="b"} % 2 $1 {} %'


def test_pages_go_to_pagerduty_with_a_mail_behind_it_and_tickets_by_mail_where_the_environment_pages(
    plans: Plans,
) -> None:
    channels = {
        Severity.PAGE: [
            "google_monitoring_notification_channel.pagerduty",
            "google_monitoring_notification_channel.page_backup",
        ],
        Severity.TICKET: ["google_monitoring_notification_channel.mail"],
    }
    assert PROD.pages
    assert told(plans("prod")["alerting"]) == {alert.name: channels[alert.severity] for alert in alerts(plans, "prod")}


def test_nothing_pages_outside_production(plans: Plans) -> None:
    for env in ("dev", "staging"):
        plan = plans(env)["alerting"]
        assert planned(plan, "google_monitoring_notification_channel").keys() == {"mail"}
        assert {channel for channels in told(plan).values() for channel in channels} == {
            "google_monitoring_notification_channel.mail"
        }
        assert "variables" not in plan


def test_a_policy_keeps_to_the_limits_of_cloud_monitoring(plans: Plans) -> None:
    # https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies
    for policy in policies(plans("prod")["alerting"]).values():
        (documentation,) = policy["documentation"]
        assert policy["combiner"] == "OR"
        assert len(policy["display_name"]) <= 512
        assert len(documentation["content"]) <= 8_192
        assert len(documentation["subject"].encode()) <= 255
        assert len(documentation["links"]) <= 3
        assert int(promql(policy)["evaluation_interval"].removesuffix("s")) % 30 == 0
        assert promql(policy)["disable_metric_validation"] is True
        for key, value in policy["user_labels"].items():
            assert max(len(key), len(value)) <= 63
            assert (key + value) == (key + value).lower()


def test_a_page_links_to_a_runbook_that_exists(plans: Plans) -> None:
    for policy in policies(plans("prod")["alerting"]).values():
        (documentation,) = policy["documentation"]
        runbook, dashboard = documentation["links"]
        folder, _, name = runbook["url"].rpartition("/")
        assert folder == PROD.runbooks_url
        assert (RUNBOOKS / name).is_file(), name
        assert runbook["url"] in documentation["content"]
        assert dashboard["display_name"] in documentation["content"]


def test_the_second_link_is_the_dashboard_with_the_alerts_panel(stacks: Stacks) -> None:
    (alerting,) = (stack for stack in stacks("prod") if stack.name == "prod-alerting")
    resources = alerting.config["resource"]
    shown = resources["google_monitoring_dashboard"]
    for alert in catalogue.alerts():
        url = resources["google_monitoring_alert_policy"][alert.name]["documentation"]["links"][1]["url"]
        (name,) = re.findall(r"google_monitoring_dashboard\.(\w+)\.id", url)
        assert alert.panel in [
            tile["widget"].get("title") for tile in json.loads(shown[name]["dashboard_json"])["mosaicLayout"]["tiles"]
        ]


def test_a_ticket_is_mailed_again_each_day_until_it_is_closed_and_a_page_is_not(plans: Plans) -> None:
    for env in ("dev", "prod"):
        plan = plans(env)["alerting"]
        reminded = {
            resource["name"]: resource["expressions"]["alert_strategy"][0].get("notification_channel_strategy", [])
            for resource in plan["configuration"]["root_module"]["resources"]
            if resource["type"] == "google_monitoring_alert_policy"
        }
        for alert in alerts(plans, env):
            strategy = policies(plan)[alert.name]["alert_strategy"][0]["notification_channel_strategy"]
            if env == "prod" and alert.severity is Severity.PAGE:  # PagerDuty repeats it
                assert strategy == []
                continue
            assert [each["renotify_interval"] for each in strategy] == ["86400s"]
            (told_again,) = reminded[alert.name]
            names = told_again["notification_channel_names"]["references"]
            assert "google_monitoring_notification_channel.mail" in names


def test_the_way_behind_pagerduty_is_another_mailbox_than_the_tickets(plans: Plans) -> None:
    channels = planned(plans("prod")["alerting"], "google_monitoring_notification_channel")
    mailboxes = {
        name: channel["labels"].get("email_address") for name, channel in channels.items() if name != "pagerduty"
    }
    assert mailboxes == {"mail": PROD.ticket_email, "page_backup": PROD.page_backup_email}
    assert PROD.ticket_email != PROD.page_backup_email


def test_the_open_health_path_is_asked_for_from_outside_over_verified_tls(plans: Plans) -> None:
    for env in ENVIRONMENTS.values():
        (check,) = planned(plans(env.id)["alerting"], "google_monitoring_uptime_check_config").values()
        (http,) = check["http_check"]
        assert (http["path"], http["port"], http["request_method"]) == (HEALTH_PATH, 443, "GET")
        assert http["use_ssl"] is True
        assert http["validate_ssl"] is True
        (resource,) = check["monitored_resource"]
        assert resource == {"type": "uptime_url", "labels": {"project_id": env.project, "host": env.domain}}
        assert len(check["selected_regions"]) >= 3  # the API's least


def test_every_dashboard_arrives_as_it_was_rendered_for_the_environments_alerts(plans: Plans) -> None:
    for env in ENVIRONMENTS.values():
        planned_ones = planned(plans(env.id)["alerting"], "google_monitoring_dashboard")
        wanted = {
            f"dashboard_{each.id}": cloud.rendered(each, environment=env.id, runbooks_url=str(env.runbooks_url))
            for each in dashboards(alerts(plans, env.id))
        }
        assert {name: each["dashboard_json"] for name, each in planned_ones.items()} == wanted


def test_every_promise_that_cloud_monitoring_can_count_is_an_slo_of_the_same_objective(plans: Plans) -> None:
    plan = plans("dev")["alerting"]
    counted = {f"slo_{slo.name}": slo for slo in promises.slos(Platform()) if slo.counted}
    made = planned(plan, "google_monitoring_slo")
    assert made.keys() == counted.keys() != set()
    (service,) = planned(plan, "google_monitoring_custom_service").values()
    for name, slo in counted.items():
        assert (made[name]["slo_id"], made[name]["service"]) == (slo.name, service["service_id"])
        assert (made[name]["goal"], made[name]["rolling_period_days"]) == (float(slo.objective), slo.period.days)
    (ratio,) = made["slo_ScoringAvailability"]["request_based_sli"][0]["good_total_ratio"]
    assert ratio["bad_service_filter"].startswith(ratio["total_service_filter"])
    (cut,) = made["slo_ScoringLatency"]["request_based_sli"][0]["distribution_cut"]
    assert cut["range"][0]["max"] == 0.25


def test_a_spent_budget_pages_where_the_environment_asks_for_it(engine: Terraform, tmp_path: Path) -> None:
    env = PROD.model_copy(update={"budget_spent": "page"})
    app = App(outdir=str(tmp_path))
    slos = promises.slos(Platform())
    stack = AlertingStack(app, "prod-alerting", env=env, alerts=[], dashboards=[], health_path="/readyz", slos=slos)
    GoogleProvider(stack, "google", project=env.project)
    GcsBackend(stack, bucket="states", prefix="prod-alerting")
    app.synth()
    (result,) = rehearse(read(tmp_path), engine)
    pages = policies(result.plan)
    assert pages.keys() == {"ScoringAvailabilityBudgetGone", "ScoringLatencyBudgetGone"}
    made = planned(result.plan, "google_monitoring_slo")
    (service,) = planned(result.plan, "google_monitoring_custom_service").values()
    for name, policy in pages.items():
        (threshold,) = policy["conditions"][0]["condition_threshold"]
        slo_id = made[f"slo_{name.removesuffix('BudgetGone')}"]["slo_id"]
        slo = f"projects/{env.project}/services/{service['service_id']}/serviceLevelObjectives/{slo_id}"
        assert threshold["filter"] == f'select_slo_budget_fraction("{slo}")'
        assert (threshold["comparison"], threshold["threshold_value"]) == ("COMPARISON_LT", 0)
        assert "google_monitoring_notification_channel.pagerduty" in told(result.plan)[name]
    assert refused(tmp_path, result.plan) == []
    threshold["filter"] = 'metric.type="run.googleapis.com/request_count"'
    assert refused(tmp_path, result.plan) == ["alert-condition"]
