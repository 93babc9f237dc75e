"""PagerDuty as code: an environment with somebody on call, rehearsed with the provider's own schema."""

import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra import coverage
from infra.bindings import App, GcsBackend, GoogleProvider
from infra.environment import Environment
from infra.environments import PROD
from infra.operations import ci
from infra.operations.first_deploy import applying, check_values
from infra.operations.programs import Failed, Programs
from infra.policies.check import HARMLESS
from infra.rehearsal import rules
from infra.rehearsal.rehearse import rehearse
from infra.rehearsal.schema_cache import load
from infra.rehearsal.synthesis import Stack, read
from infra.rehearsal.terraform import Terraform
from infra.stacks.alerting import AlertingStack
from infra.stacks.foundation import FoundationStack
from infra.timeline.needs import values_from_people
from monitoring import catalogue
from tests.infra.conftest import planned, stack

ON_CALL = Environment(
    **{
        **PROD.model_dump(),
        "id": "oncall",
        "on_call": "schedule:PFIRST1",
        "escalate_to": "schedule:PTHEN02",
        "ticket_owner": "user:POWNER3",
    }
)


PAGERDUTY = "registry.terraform.io/pagerduty/pagerduty"


@cache
def stacks() -> dict[str, Stack]:
    """Of the environment only what PagerDuty changes, with two alerts: the rest takes long."""
    alerts = [alert for alert in catalogue.alerts() if alert.name in ("FrontDoorDown", "EvaluateLate")]
    with tempfile.TemporaryDirectory() as folder:
        app = App(outdir=folder)
        made = (
            FoundationStack(app, "oncall-foundation", env=ON_CALL, digests_in_use={}),
            AlertingStack(app, "oncall-alerting", env=ON_CALL, alerts=alerts, dashboards=[], health_path="/readyz"),
        )
        for each in made:
            GoogleProvider(each, "google", project=ON_CALL.project)
            GcsBackend(each, bucket=ON_CALL.state_bucket, prefix=each.node.id)
        app.synth()
        return {each.name.removeprefix("oncall-"): each for each in read(Path(folder))}


def resources(type_name: str) -> dict[str, Any]:
    return dict(stacks()["alerting"].config["resource"][type_name])


def test_the_first_is_paged_then_whom_runbooks_escalate_to_and_all_again() -> None:
    policy = resources("pagerduty_escalation_policy")["pagerduty_pages_policy"]
    assert [rule["target"] for rule in policy["rule"]] == [
        [{"type": "schedule_reference", "id": "PFIRST1"}],
        [{"type": "schedule_reference", "id": "PTHEN02"}],
    ]
    assert [rule["escalation_delay_in_minutes"] for rule in policy["rule"]] == [10, 10]
    assert 1 <= policy["num_loops"] <= 9


def test_tickets_have_an_owner_and_do_not_wake_them() -> None:
    service = resources("pagerduty_service")
    urgency = {name: each["incident_urgency_rule"]["urgency"] for name, each in service.items()}
    assert urgency == {"pagerduty_pages": "high", "pagerduty_tickets": "low"}
    policy = resources("pagerduty_escalation_policy")["pagerduty_tickets_policy"]
    assert [rule["target"] for rule in policy["rule"]] == [[{"type": "user_reference", "id": "POWNER3"}]]


def test_no_incident_is_resolved_by_the_clock() -> None:
    assert {each["auto_resolve_timeout"] for each in resources("pagerduty_service").values()} == {"null"}


def test_pages_that_come_together_are_one_incident() -> None:
    (grouping,) = resources("pagerduty_alert_grouping_setting").values()
    assert grouping["type"] == "time"
    assert grouping["services"] == ["${pagerduty_service.pagerduty_pages.id}"]
    assert grouping["config"] == {"timeout": 1800}


def test_pages_and_tickets_go_to_their_services_with_a_mail_behind_them() -> None:
    channels = resources("google_monitoring_notification_channel")
    assert {
        name: channel["sensitive_labels"]["service_key"]
        for name, channel in channels.items()
        if "sensitive_labels" in channel
    } == {
        "pagerduty": "${pagerduty_service_integration.pagerduty_pages_key.integration_key}",
        "pagerduty_owner": "${pagerduty_service_integration.pagerduty_tickets_key.integration_key}",
    }
    policies = resources("google_monitoring_alert_policy")
    told = {
        name: [re.findall(r"channel\.(\w+)\.", each)[0] for each in policies[name]["notification_channels"]]
        for name in policies
    }
    assert told["FrontDoorDown"] == ["pagerduty", "page_backup"]
    assert told["EvaluateLate"] == ["pagerduty_owner", "mail"]


def test_the_mail_about_a_ticket_comes_again_each_day_and_that_about_a_page_does_not() -> None:
    policies = resources("google_monitoring_alert_policy")
    again = {name: policies[name]["alert_strategy"]["notification_channel_strategy"] for name in policies}
    mail = "${google_monitoring_notification_channel.mail.name}"
    assert again == {
        "FrontDoorDown": [],
        "EvaluateLate": [{"notification_channel_names": [mail], "renotify_interval": "86400s"}],
    }


def test_neither_token_nor_key_is_in_the_configuration() -> None:
    config = stacks()["alerting"].config
    assert config["provider"]["pagerduty"] == [{}]
    assert "variable" not in config


def test_it_is_planned_applied_and_destroyed_and_a_second_plan_is_empty(engine: Terraform) -> None:
    whole = stacks()["alerting"]
    kept = {
        name: found
        if name.startswith("pagerduty_")
        else {key: each for key, each in found.items() if key in ("pagerduty", "pagerduty_owner")}
        for name, found in whole.config["resource"].items()
        if name.startswith("pagerduty_") or name == "google_monitoring_notification_channel"
    }
    alone = stack(resource=kept)
    alone.config["terraform"]["required_providers"] = whole.config["terraform"]["required_providers"]
    alone.config["provider"]["pagerduty"] = [{}]
    (done,) = rehearse((alone,), engine)
    assert set(planned(done.plan, "pagerduty_service")) == {"pagerduty_pages", "pagerduty_tickets"}


@pytest.mark.parametrize(
    ("type_name", "broken", "said"),
    [
        ("pagerduty_escalation_policy", {"num_loops": 10}, "num_loops"),
        ("pagerduty_escalation_policy", {"rule": [{"escalation_delay_in_minutes": 0}]}, "at least (1)"),
        ("pagerduty_escalation_policy", {"rule": [{"target": [{"type": "team_reference"}]}]}, "rule.target.type"),
        ("pagerduty_service_integration", {"type": "google"}, "events_api_v2_inbound_integration"),
        ("pagerduty_service_integration", {"vendor": "PVENDOR"}, "conflicts with vendor"),
        ("pagerduty_alert_grouping_setting", {"type": "clock"}, "time"),
        ("pagerduty_service", {"name": ""}, "length of name"),
    ],
)
def test_what_the_providers_code_refuses_is_refused(type_name: str, broken: dict[str, Any], said: str) -> None:
    made = next(iter(resources(type_name).values()))
    assert list(rules.refused(type_name, made)) == []
    reasons = [reason for _, reason in rules.refused(type_name, {**made, **broken})]
    assert any(said in reason for reason in reasons), reasons
    assert load(PAGERDUTY).version == rules.PAGERDUTY_VERSION


def test_a_deploy_stops_for_the_token_before_alerting_and_asks_for_no_key() -> None:
    event = applying(ON_CALL, stacks()["alerting"], tuple(stacks().values()))
    assert values_from_people(event) == (["acme-leads-oncall-pagerduty-token"], [])
    identity = ci.identity(ON_CALL, "deployer")
    assert (identity["pagerduty_key"], identity["pagerduty_token"]) == ("", "acme-leads-oncall-pagerduty-token")
    assert ci.identity(PROD, "deployer")["pagerduty_token"] == ""
    secrets = stacks()["foundation"].config["resource"]["google_secret_manager_secret"].values()
    assert "acme-leads-oncall-pagerduty-token" in {each["secret_id"] for each in secrets}


def test_a_deploy_without_the_token_is_told_how_to_set_it(tmp_path: Path) -> None:
    program = tmp_path / "gcloud"  # answers that the secret has a version
    program.write_text("#!/bin/sh\necho 1\n")
    program.chmod(0o755)
    everything = tuple(stacks().values())
    event = applying(ON_CALL, stacks()["alerting"], everything)
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    with pytest.raises(Failed) as refused:
        check_values(ON_CALL, Programs(path), event)
    assert "PAGERDUTY_TOKEN" in str(refused.value)
    assert "--secret=acme-leads-oncall-pagerduty-token" in refused.value.remedy
    check_values(ON_CALL, Programs({**path, "PAGERDUTY_TOKEN": "t"}), event)


def test_how_its_types_fail_has_been_said() -> None:
    built = coverage.things([stacks()["alerting"]])
    made = {name for name in built if name.startswith("pagerduty_")}
    assert len(made) == 4
    assert made <= coverage.SETTINGS
    assert made <= HARMLESS.keys()
