import json
import re
from typing import Any

import pytest

from infra.environments import ENVIRONMENTS, PROD
from infra.releases import PLACEHOLDER
from infra.stacks.serving import DEPLOY, NAMESPACE, objects
from service.settings import Settings
from tests.infra.conftest import Plans, Stacks, planned

KINDS = {
    "Namespace",
    "ResourceQuota",
    "NetworkPolicy",
    "ServiceAccount",
    "Service",
    "Deployment",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "PodMonitoring",
}
PREFIX = "LEADSCORING_"


def manifests(plans: Plans, env: str = "prod") -> dict[str, dict[str, Any]]:
    found = planned(plans(env)["serving"], "kubernetes_manifest").values()
    return {each["manifest"]["kind"]: each["manifest"] for each in found}


def container(plans: Plans, env: str = "prod") -> dict[str, Any]:
    (found,) = manifests(plans, env)["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def variables(plans: Plans, env: str = "prod") -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container(plans, env)["env"]}


def config(stacks: Stacks, env: str = "prod") -> dict[str, Any]:
    (found,) = (stack.config for stack in stacks(env) if stack.name == f"{env}-serving")
    return found


def test_every_object_in_the_folder_is_applied_in_the_services_namespace(plans: Plans) -> None:
    applied = planned(plans("prod")["serving"], "kubernetes_manifest")
    assert applied.keys() == {file.stem for file in DEPLOY.glob("*.yaml")}
    found = [each["manifest"] for each in applied.values()]
    assert {each["kind"] for each in found} == KINDS
    namespaces = [each["metadata"].get("namespace", each["metadata"]["name"]) for each in found]
    assert {*namespaces} == {NAMESPACE}


def test_every_variable_of_the_container_is_a_field_of_the_services_settings(plans: Plans) -> None:
    for env in ENVIRONMENTS:
        fields = {PREFIX + field.upper() for field in Settings.model_fields}
        assert variables(plans, env).keys() <= fields


def test_every_required_field_of_the_services_settings_is_handed_over(plans: Plans) -> None:
    for env in ENVIRONMENTS:
        required = {PREFIX + name.upper() for name, field in Settings.model_fields.items() if field.is_required()}
        assert required <= variables(plans, env).keys()


def test_the_service_starts_with_what_it_is_handed(plans: Plans, monkeypatch: pytest.MonkeyPatch) -> None:
    for env in ENVIRONMENTS:
        for name, value in (variables(plans, env) | {"LEADSCORING_HOST": "0.0.0.0"}).items():  # the image's own
            monkeypatch.setenv(name, value)
        settings = Settings()
        assert settings.models_url == f"gs://acme-leads-{env}-models"
        assert settings.predictions_url == f"gs://acme-leads-{env}-predictions"


def test_the_container_listens_where_the_service_and_the_probes_look(plans: Plans) -> None:
    ports = {port["name"]: port["containerPort"] for port in container(plans)["ports"]}
    assert ports == {"http": Settings.model_fields["port"].default}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container(plans)[probe]["httpGet"]["port"] == "http"
    (port,) = manifests(plans)["Service"]["spec"]["ports"]
    assert port["targetPort"] == "http"
    (endpoint,) = manifests(plans)["PodMonitoring"]["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("http", "/metrics")


def test_the_volumes_are_where_the_service_is_told_to_look(plans: Plans) -> None:
    mounts = {mount["name"]: mount["mountPath"] for mount in container(plans)["volumeMounts"]}
    assert variables(plans)["LEADSCORING_SPOOL_DIR"] == mounts["spool"]
    assert variables(plans)["LEADSCORING_IAP_AUDIENCE_FILE"] == f"{mounts['iap']}/audience"
    volumes = {v["name"]: v for v in manifests(plans)["Deployment"]["spec"]["template"]["spec"]["volumes"]}
    assert volumes.keys() == mounts.keys()
    assert volumes["iap"]["configMap"] == {"name": "scoring-iap", "optional": True}


def test_the_spool_fits_on_the_disk_that_a_pod_may_use(plans: Plans) -> None:
    volumes = manifests(plans)["Deployment"]["spec"]["template"]["spec"]["volumes"]
    (spool,) = (volume["emptyDir"] for volume in volumes if volume["name"] == "spool")
    assert Settings.model_fields["spool_max_bytes"].default < int(spool["sizeLimit"].removesuffix("Mi")) * 2**20


def test_values_come_from_the_environment(plans: Plans) -> None:
    for env in ENVIRONMENTS.values():
        found = container(plans, env.id)
        assert found["image"].startswith(f"{env.images}/scoring@sha256:")
        size = {
            "cpu": f"{env.scoring_millicpus}m",
            "memory": f"{env.scoring_memory_mib}Mi",
            "ephemeral-storage": "1Gi",
        }
        assert found["resources"] == {"requests": size, "limits": size}
        scale = manifests(plans, env.id)["HorizontalPodAutoscaler"]["spec"]
        assert (scale["minReplicas"], scale["maxReplicas"]) == env.scoring_replicas


def test_nothing_else_differs_between_environments() -> None:
    def without_values(env: str) -> str:
        text = json.dumps(objects(ENVIRONMENTS[env], image="image", account="account"), sort_keys=True)
        text = text.replace(ENVIRONMENTS[env].name(""), "")
        least, most = ENVIRONMENTS[env].scoring_replicas
        text = text.replace(f'"minReplicas": {least}', "").replace(f'"maxReplicas": {most}', "")
        return re.sub(r'"hard": {[^}]*}', "", text)

    assert len({without_values(env) for env in ENVIRONMENTS}) == 1


def test_the_pods_act_as_the_scoring_account_and_as_nothing_else(plans: Plans) -> None:
    account = "acme-leads-prod-scoring@acme-leads-prod.iam.gserviceaccount.com"
    (grant,) = planned(plans("prod")["serving"], "google_service_account_iam_member").values()
    assert grant["role"] == "roles/iam.workloadIdentityUser"
    assert grant["member"] == "serviceAccount:acme-leads-prod.svc.id.goog[leadscoring/scoring]"
    assert grant["service_account_id"] == f"projects/acme-leads-prod/serviceAccounts/{account}"
    identity = manifests(plans)["ServiceAccount"]
    assert identity["metadata"]["annotations"] == {"iam.gke.io/gcp-service-account": account}
    pod = manifests(plans)["Deployment"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == identity["metadata"]["name"]
    assert pod["automountServiceAccountToken"] is False


def test_the_number_of_pods_is_the_autoscalers(plans: Plans) -> None:
    assert "replicas" not in manifests(plans)["Deployment"]["spec"]
    target = manifests(plans)["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", manifests(plans)["Deployment"]["metadata"]["name"])


def test_a_deploy_waits_for_the_roll_out_and_for_the_least_number_of_pods(plans: Plans) -> None:
    found = planned(plans("prod")["serving"], "kubernetes_manifest")
    assert found["deployment"]["wait"][0]["rollout"] is True
    assert PROD.scoring_replicas == (3, 12)
    enough = found["horizontalpodautoscaler"]["wait"][0]["fields"]["status.currentReplicas"]
    assert enough == "^(3|4|5|6|7|8|9|10|11|12)$"


def test_the_namespace_has_room_for_the_largest_scale_and_a_roll_out_and_for_no_more(plans: Plans) -> None:
    hard = manifests(plans)["ResourceQuota"]["spec"]["hard"]
    assert PROD.scoring_replicas[1] == 12
    assert hard["pods"] == "25"
    assert (hard["requests.cpu"], hard["limits.cpu"]) == ("12500m", "12500m")
    assert (hard["requests.memory"], hard["limits.memory"]) == ("25600Mi", "25600Mi")
    assert hard["services.loadbalancers"] == hard["services.nodeports"] == "0"


def test_no_pod_is_ever_without_its_network_policies_and_none_is_cut_off_by_them(stacks: Stacks) -> None:
    resources = config(stacks)["resource"]["kubernetes_manifest"]
    assert "kubernetes_manifest.networkpolicy_default" in resources["deployment"]["depends_on"]
    assert resources["networkpolicy_default"]["depends_on"] == ["kubernetes_manifest.networkpolicy"]


def test_the_service_is_there_before_the_pods_so_that_they_wait_for_the_load_balancer(stacks: Stacks) -> None:
    deployment = config(stacks)["resource"]["kubernetes_manifest"]["deployment"]
    assert "kubernetes_manifest.service" in deployment["depends_on"]


def test_the_cluster_is_reached_by_a_plugin_and_no_token_gets_into_the_state(stacks: Stacks) -> None:
    for env in ENVIRONMENTS.values():
        (provider,) = config(stacks, env.id)["provider"]["kubernetes"]
        (plugin,) = provider["exec"]
        assert plugin["command"] == "gke-gcloud-auth-plugin"
        assert "token" not in provider
        cluster = config(stacks, env.id)["data"]["google_container_cluster"]["cluster"]
        assert (cluster["name"], cluster["location"]) == (env.name("cluster"), env.region)
        assert "google_client_config" not in config(stacks, env.id)["data"]


def test_an_environment_without_a_release_says_so_in_the_image(plans: Plans) -> None:
    assert container(plans)["image"].endswith(PLACEHOLDER)
