import copy
import json
import re
from typing import Any

import pytest
import yaml

from infra.components.cloud_armor import HEALTH_PATH
from infra.environments import ENVIRONMENTS, PROD
from infra.operations import smoke
from infra.rehearsal import provider_facts
from infra.rehearsal.masking import Plan
from infra.rehearsal.rehearse import rehearse, rehearse_change
from infra.rehearsal.steps import StackError
from infra.rehearsal.synthesis import Stack
from infra.rehearsal.terraform import Terraform
from infra.stacks import edge
from infra.stacks.serving import DEPLOY
from monitoring.catalogue import front_door
from tests.infra.conftest import Plans, Stacks, planned

ZONES = ["europe-west1-b", "europe-west1-c", "europe-west1-d"]


def backends(plans: Plans) -> dict[str, dict[str, Any]]:
    return planned(plans("prod")["edge"], "google_compute_backend_service")


def rules(plans: Plans, policy: str, env: str = "prod") -> list[dict[str, Any]]:
    """The rules of a Cloud Armor policy in the order in which they are tried."""
    found = planned(plans(env)["edge"], "google_compute_security_policy")[policy]["rule"]
    return sorted(found, key=lambda rule: int(rule["priority"]))


def refers(plan: Plan, address: str, *path: str | int) -> list[str]:
    """What an argument refers to."""
    type_name, name = address.split(".")
    found: Any = next(
        resource["expressions"]
        for resource in plan["configuration"]["root_module"]["resources"]
        if (resource["type"], resource["name"]) == (type_name, name)
    )
    for step in path:
        found = found[step]
    return [reference for reference in found["references"] if reference.count(".") == 1]


def only(stacks: Stacks) -> Stack:
    """The edge stack alone."""
    (found,) = (stack for stack in stacks("prod") if stack.name == "prod-edge")
    return Stack(found.name, copy.deepcopy(found.config))


def test_the_load_balancer_goes_to_the_pods_of_every_zone(plans: Plans) -> None:
    for backend in backends(plans).values():
        assert sorted(each["group"] for each in backend["backend"]) == [
            f"projects/acme-leads-prod/zones/{zone}/networkEndpointGroups/leadscoring" for zone in ZONES
        ]
        assert {each["balancing_mode"] for each in backend["backend"]} == {"RATE"}
        assert {each["max_rate_per_endpoint"] for each in backend["backend"]} == {PROD.pod_requests_per_second}


def test_without_pods_in_two_zones_the_deploy_stops_and_says_what_to_do(
    stacks: Stacks, engine: Terraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for answer in ({}, {edge.NEG_STATUS: '{"network_endpoint_groups":{},"zones":["europe-west1-b"]}'}):
        monkeypatch.setitem(provider_facts.EXAMPLES, "kubernetes_service_v1", {"metadata.0.annotations": answer})
        with pytest.raises(StackError) as stopped:
            rehearse([only(stacks)], engine)
        said = " ".join(stopped.value.said.replace("│", " ").split())
        assert "The pods of leadscoring/scoring are in fewer than 2 zones. Deploy the serving stack first" in said


def test_a_group_that_appears_after_a_deploy_is_a_change_in_the_next_plan(
    stacks: Stacks, engine: Terraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def groups_in(zones: list[str]) -> None:
        answer = {edge.NEG_STATUS: json.dumps({"network_endpoint_groups": {"8080": "leadscoring"}, "zones": zones})}
        monkeypatch.setitem(provider_facts.EXAMPLES, "kubernetes_service_v1", {"metadata.0.annotations": answer})

    groups_in(ZONES[:2])
    whole = only(stacks)
    text = re.sub(
        r"\$\{data\.terraform_remote_state\.[^}]*\}", "smoke@acme-leads-prod.example", json.dumps(whole.config)
    )
    config = json.loads(text)
    del config["data"]["terraform_remote_state"]
    deployed = [Stack(whole.name, config)]
    step = lambda _stack, doing, _seconds: groups_in(ZONES) if doing == "deploy base" else None  # noqa: E731
    (later,) = rehearse_change(deployed, deployed, engine, step=step)
    changed = {
        resource["address"]: [backend["group"].split("/")[3] for backend in resource["change"]["after"]["backend"]]
        for resource in later.plan["resource_changes"]
        if resource["change"]["actions"] == ["update"]
    }
    assert {address: sorted(zones) for address, zones in changed.items()} == {
        f"google_compute_backend_service.{name}": ZONES for name in ("health", "scoring")
    }


def test_only_the_scoring_backend_is_behind_the_identity_aware_proxy_and_has_callers(plans: Plans) -> None:
    assert {name: backend["iap"][0]["enabled"] for name, backend in backends(plans).items()} == {
        "scoring": True,
        "health": False,
    }
    callers = planned(plans("prod")["edge"], "google_iap_web_backend_service_iam_member").values()
    own = [f"serviceAccount:{account}" for account in (smoke.account(PROD), PROD.email("probe"))]
    assert {caller["member"] for caller in callers} == {*PROD.callers, *own}
    assert {caller["role"] for caller in callers} == {"roles/iap.httpsResourceAccessor"}
    assert {caller["web_backend_service"] for caller in callers} == {"acme-leads-prod-scoring"}


def test_one_path_alone_leads_around_the_proxy(plans: Plans) -> None:
    plan = plans("prod")["edge"]
    paths = planned(plan, "google_compute_url_map")["paths"]
    assert paths["host_rule"][0]["hosts"] == [PROD.domain]
    (matcher,) = paths["path_matcher"]
    assert [rule["paths"] for rule in matcher["path_rule"]] == [[HEALTH_PATH], [edge.SCORE_PATH]]
    map_ = "google_compute_url_map.paths"
    assert refers(plan, map_, "default_service") == ["google_compute_backend_service.scoring"]
    assert refers(plan, map_, "path_matcher", 0, "default_service") == ["google_compute_backend_service.scoring"]
    assert [refers(plan, map_, "path_matcher", 0, "path_rule", rule, "service") for rule in (0, 1)] == [
        ["google_compute_backend_service.health"],
        ["google_compute_backend_service.scoring"],
    ]


def test_the_path_whose_refusals_page_has_a_rule_of_its_own(plans: Plans) -> None:
    paths = planned(plans("prod")["edge"], "google_compute_url_map")["paths"]
    rules = [path for rule in paths["path_matcher"][0]["path_rule"] for path in rule["paths"]]
    (counted,) = set(re.findall(r'matched_url_path_rule="([^"]*)"', front_door.TO_SCORE))
    assert counted in rules


def test_the_open_backend_answers_get_of_the_health_path_so_often_and_forbids_the_rest(plans: Plans) -> None:
    plan = plans("prod")["edge"]
    health = "google_compute_backend_service.health"
    assert refers(plan, health, "security_policy") == ["google_compute_security_policy.health_only"]
    throttle, rest = rules(plans, "health_only")
    assert throttle["match"][0]["expr"][0]["expression"] == "request.method == 'GET' && request.path == '/readyz'"
    assert throttle["action"] == "throttle"
    (rate,) = throttle["rate_limit_options"]
    assert (rate["conform_action"], rate["exceed_action"], rate["enforce_on_key"]) == ("allow", "deny(429)", "IP")
    assert (rest["action"], rest["match"][0]["config"][0]["src_ip_ranges"]) == ("deny(403)", ["*"])
    assert not throttle["preview"]
    assert not rest["preview"]


def test_callers_are_limited_and_managed_rules_begin_in_preview(plans: Plans) -> None:
    for env in ENVIRONMENTS.values():
        exploits, *managed, throttle, rest = rules(plans, "front_door", env.id)
        assert (exploits["action"], exploits["preview"]) == ("deny(403)", False)
        assert len(managed) == 7
        for rule in managed:
            assert rule["preview"] is not env.enforce_managed_rules
            assert rule["action"] == "deny(403)"
            assert rule["match"][0]["expr"][0]["expression"].startswith("evaluatePreconfiguredWaf('")
        (rate,) = throttle["rate_limit_options"]
        threshold = {"count": env.address_requests_per_minute, "interval_sec": 60}
        assert (throttle["action"], rate["rate_limit_threshold"]) == ("throttle", [threshold])
        assert rest["action"] == "deny(403)"


def test_bodies_are_read_as_json_and_pieces_of_them_are_not_logged(plans: Plans) -> None:
    for policy in planned(plans("prod")["edge"], "google_compute_security_policy").values():
        (advanced,) = policy["advanced_options_config"]
        assert (advanced["json_parsing"], advanced["log_level"]) == ("STANDARD", "NORMAL")


def test_every_request_is_logged(plans: Plans) -> None:
    for backend in backends(plans).values():
        (log,) = backend["log_config"]
        assert (log["enable"], log["sample_rate"]) == (True, 1)


def test_draining_ends_before_the_pods_do(plans: Plans) -> None:
    deployment = yaml.safe_load((DEPLOY / "deployment.yaml").read_text())
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    sleeps = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    for backend in backends(plans).values():
        assert backend["connection_draining_timeout_sec"] < sleeps
        assert sleeps + backend["timeout_sec"] < pod["terminationGracePeriodSeconds"]


def test_a_pod_is_asked_for_its_health_where_it_serves(plans: Plans) -> None:
    (check,) = planned(plans("prod")["edge"], "google_compute_health_check").values()
    (http,) = check["http_health_check"]
    assert (http["port_specification"], http["request_path"]) == ("USE_SERVING_PORT", "/readyz")
    assert check["timeout_sec"] <= check["check_interval_sec"]


def test_plain_http_is_redirected_and_tls_is_modern(plans: Plans) -> None:
    plan = plans("prod")["edge"]
    (redirect,) = planned(plan, "google_compute_url_map")["redirect"]["default_url_redirect"]
    assert redirect["https_redirect"] is True
    assert refers(plan, "google_compute_target_http_proxy.http", "url_map") == ["google_compute_url_map.redirect"]
    (tls,) = planned(plan, "google_compute_ssl_policy").values()
    assert (tls["profile"], tls["min_tls_version"]) == ("MODERN", "TLS_1_2")
    https = "google_compute_target_https_proxy.https"
    assert refers(plan, https, "ssl_policy") == ["google_compute_ssl_policy.tls"]
    ports = {name: rule["port_range"] for name, rule in planned(plan, "google_compute_global_forwarding_rule").items()}
    assert ports == {"https_rule": "443", "http_rule": "80"}


def test_the_certificate_is_proven_by_dns_and_for_the_environments_domain(plans: Plans) -> None:
    for env in ENVIRONMENTS.values():
        plan = plans(env.id)["edge"]
        (certificate,) = planned(plan, "google_certificate_manager_certificate").values()
        assert certificate["managed"][0]["domains"] == [env.domain]
        (authorization,) = planned(plan, "google_certificate_manager_dns_authorization").values()
        assert authorization["domain"] == env.domain
        assert plan["planned_values"]["outputs"].keys() >= {"address_record", "certificate_record"}


def test_address_and_certificate_cannot_be_destroyed_by_mistake(stacks: Stacks) -> None:
    resources = only(stacks).config["resource"]
    for type_name in (
        "google_compute_global_address",
        "google_certificate_manager_certificate",
        "google_certificate_manager_dns_authorization",
    ):
        for resource in resources[type_name].values():
            assert resource["lifecycle"] == {"prevent_destroy": True}


def test_the_pods_learn_the_audience_of_the_scoring_backend_from_a_file(stacks: Stacks, plans: Plans) -> None:
    audience = only(stacks).config["resource"]["kubernetes_config_map_v1"]["audience"]
    assert audience["data"] == {
        "audience": f"/projects/{PROD.project_number}/global/backendServices/"
        "${google_compute_backend_service.scoring.generated_id}"
    }
    deployment = yaml.safe_load((DEPLOY / "deployment.yaml").read_text())
    volumes = {volume["name"]: volume for volume in deployment["spec"]["template"]["spec"]["volumes"]}
    metadata = audience["metadata"]
    assert metadata["name"] == volumes["iap"]["configMap"]["name"]
    assert metadata["namespace"] == "leadscoring"


def test_the_edge_is_destroyed_before_the_pods_whose_groups_it_refers_to(stacks: Stacks) -> None:
    needs = {stack.name: stack.needs for stack in stacks("prod")}
    assert "prod-serving" in needs["prod-edge"]
