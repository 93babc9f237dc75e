"""The scoring service on the cluster: the objects in service/deploy, with this environment's values.

Apart from the cluster, because Terraform asks a living cluster when it plans these objects:
https://registry.terraform.io/providers/hashicorp/kubernetes/latest/docs/resources/manifest
"""

import json
from pathlib import Path
from typing import Any

import yaml

from infra.bindings import (
    Manifest,
    ManifestFieldManager,
    ManifestTimeouts,
    ManifestWait,
    ServiceAccountIamMember,
    TerraformStack,
)
from infra.components.cluster_access import reach_cluster
from infra.environment import Environment

DEPLOY = Path(__file__).parents[2] / "service" / "deploy"
NAMESPACE = "leadscoring"
Object = dict[str, Any]  # one Kubernetes object


def objects(env: Environment, *, image: str, account: str) -> dict[str, Object]:
    """The objects in service/deploy by their file's name, as they are applied in `env`.

    Sets exactly namespace, image, service account, bucket URLs, replica range and resources, those of the namespace
    included.
    """
    found = {file.stem: yaml.safe_load(file.read_text()) for file in sorted(DEPLOY.glob("*.yaml"))}
    for each in found.values():
        each["metadata"]["name" if each["kind"] == "Namespace" else "namespace"] = NAMESPACE
    found["serviceaccount"]["metadata"]["annotations"]["iam.gke.io/gcp-service-account"] = account

    deployment = found["deployment"]["spec"]
    (container,) = deployment["template"]["spec"]["containers"]
    container["image"] = image
    variables = {variable["name"]: variable for variable in container["env"]}
    variables["LEADSCORING_MODELS_URL"]["value"] = f"gs://{env.name('models')}"
    variables["LEADSCORING_PREDICTIONS_URL"]["value"] = f"gs://{env.name('predictions')}"
    size = {"cpu": f"{env.scoring_millicpus}m", "memory": f"{env.scoring_memory_mib}Mi"}
    for resources in container["resources"].values():
        resources |= size

    scale = found["horizontalpodautoscaler"]["spec"]
    scale["minReplicas"], scale["maxReplicas"] = env.scoring_replicas
    pods = pods_of_a_rollout(scale["maxReplicas"], deployment["strategy"]["rollingUpdate"]["maxSurge"])
    room = {"cpu": f"{pods * env.scoring_millicpus}m", "memory": f"{pods * env.scoring_memory_mib}Mi"}
    hard = found["resourcequota"]["spec"]["hard"]
    hard["pods"] = str(pods)
    hard |= {f"{kind}.{resource}": amount for kind in ("requests", "limits") for resource, amount in room.items()}
    return found


def pods_of_a_rollout(most: int, surge: int) -> int:
    """The most pods that a quota counts while a Deployment of `most` pods is replaced, `surge` of them at a time.

    A deleted pod counts until its grace period is over, and a new one may be ready within seconds: all old pods may be
    draining beside all new ones. With room for fewer, each step of the roll-out waits for an older one to drain.
    https://github.com/kubernetes/kubernetes/blob/master/pkg/quota/v1/evaluator/core/pods.go (QuotaV1Pod)
    """
    return most + surge + most


def endpoint_groups(service: Object) -> str:
    """The name of the network endpoint groups that the Service asks for, one group a zone."""
    asked = json.loads(service["metadata"]["annotations"]["cloud.google.com/neg"])
    (group,) = asked["exposed_ports"].values()
    return str(group["name"])


class ServingStack(TerraformStack):
    """Namespace, identity, Service, pods. The attributes are names, which the load balancer looks for."""

    namespace: str
    service: str
    endpoint_groups: str

    def __init__(self, scope: object, id: str, *, env: Environment, image: str, account: str) -> None:
        """`image` ends with a digest; `account` is the e-mail address of the service account of the pods."""
        super().__init__(scope, id)
        # GKE and Autopilot write annotations of their own.
        reach_cluster(self, env, ignore_annotations=(r"^cloud\.google\.com/", r"^autopilot\.gke\.io/"))
        found = objects(env, image=image, account=account)
        self.namespace = NAMESPACE
        self.service = found["service"]["metadata"]["name"]
        self.endpoint_groups = endpoint_groups(found["service"])

        identity = ServiceAccountIamMember(
            self,
            "workload_identity",
            service_account_id=f"projects/{env.project}/serviceAccounts/{account}",
            role="roles/iam.workloadIdentityUser",
            member=f"serviceAccount:{env.project}.svc.id.goog[{NAMESPACE}/{found['serviceaccount']['metadata']['name']}]",
        )

        def put(name: str, after: list[Any], **arguments: Any) -> Any:
            return self._object(name, found.pop(name), after, **arguments)

        namespace = put("namespace", [])
        serviceaccount = put("serviceaccount", [namespace, identity])
        # No pod is ever without them, and none is cut off: what is open first, then the denial.
        openings = put("networkpolicy", [namespace])
        denial = put("networkpolicy_default", [openings])
        # Kubernetes writes 1024Mi as 1Gi.
        quota = put(
            "resourcequota", [namespace], computed_fields=["metadata.annotations", "metadata.labels", "spec.hard"]
        )
        # Before the pods: a pod then waits, before it counts as ready, until the load balancer's group has it, and
        # when the roll-out is done the groups are there.
        # https://cloud.google.com/kubernetes-engine/docs/concepts/container-native-load-balancing#pod_readiness
        service = put("service", [namespace])
        deployment = put(
            "deployment",
            [serviceaccount, denial, quota, service],
            wait=ManifestWait(rollout=True),
            # Autopilot may raise requests to its minima and fill in what the restricted profile asks for.
            computed_fields=[
                "metadata.annotations",
                "metadata.labels",
                "spec.template.metadata.annotations",
                "spec.template.spec.containers[0].resources",
                "spec.template.spec.securityContext",
                "spec.template.spec.tolerations",
            ],
        )
        # The pods of the least number are there: with them, spread as they are, the groups of all their zones.
        least, most = env.scoring_replicas
        enough = "|".join(map(str, range(least, most + 1)))
        scaled = ManifestWait(fields={"status.currentReplicas": f"^({enough})$"})
        put("horizontalpodautoscaler", [deployment], wait=scaled)
        for name in [*found]:
            put(name, [deployment])

    def _object(self, name: str, manifest: Object, after: list[Any], **arguments: Any) -> Any:
        return Manifest(
            self,
            name,
            manifest=manifest,
            field_manager=ManifestFieldManager(name="terraform", force_conflicts=False),
            timeouts=ManifestTimeouts(create="15m", update="15m", delete="10m"),
            depends_on=after,
            **arguments,
        )
