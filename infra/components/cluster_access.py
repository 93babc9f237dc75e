"""How a stack reaches the Kubernetes API: as whoever runs Terraform, through the cluster's DNS endpoint."""

from infra.bindings import ClusterData, KubernetesExec, KubernetesProvider, TerraformStack
from infra.environment import Environment


def reach_cluster(stack: TerraformStack, env: Environment, *, ignore_annotations: tuple[str, ...] = ()) -> None:
    """Configure the kubernetes provider of `stack`; the cluster is found by its constant name."""
    cluster = ClusterData(stack, "cluster", name=env.name("cluster"), location=env.region)
    endpoint = cluster.control_plane_endpoints_config.get(0).dns_endpoint_config.get(0).endpoint
    KubernetesProvider(
        stack,
        "kubernetes",
        host=f"https://{endpoint}",
        # A token would lie in the state; the plugin gets one when it is needed. The endpoint's certificate is signed
        # by a public authority: https://cloud.google.com/kubernetes-engine/docs/concepts/network-isolation
        exec=[KubernetesExec(api_version="client.authentication.k8s.io/v1beta1", command="gke-gcloud-auth-plugin")],
        ignore_annotations=list(ignore_annotations),
    )
