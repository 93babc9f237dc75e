"""Every stack and every connection between stacks: what the platform is, on one screen.

`python -m infra.main [ENV ...]` writes the Terraform of these environments (of all, without a name) to
$CDKTF_OUTDIR, cdktf.out by default.
"""

import sys

from infra.bindings import App, GcsBackend, GoogleProvider
from infra.environment import Environment
from infra.environments import ENVIRONMENTS
from infra.stacks.alerting import AlertingStack
from infra.stacks.cluster import ClusterStack
from infra.stacks.foundation import FoundationStack
from infra.stacks.network import NetworkStack
from infra.stacks.storage import StorageStack
from monitoring import catalogue
from service.settings import Settings


def build(app: App, env: Environment) -> None:
    """Add the stacks of `env` to `app`, each named `<environment>-<stack>`."""
    foundation = FoundationStack(app, f"{env.id}-foundation", env=env)
    network = NetworkStack(app, f"{env.id}-network", env=env, pod_port=Settings.model_fields["port"].default)
    network.add_dependency(foundation)
    cluster = ClusterStack(
        app,
        f"{env.id}-cluster",
        env=env,
        network=network.network,
        subnetwork=network.nodes,
        nodes=foundation.nodes,
        secrets_key=foundation.keys["cluster"],
        backup_key=foundation.keys.get("backup"),
    )
    storage = StorageStack(
        app,
        f"{env.id}-storage",
        env=env,
        scoring=foundation.scoring,
        jobs=foundation.jobs,
        mlflow=foundation.mlflow,
    )
    alerting = AlertingStack(app, f"{env.id}-alerting", env=env, alerts=catalogue.alerts())
    alerting.add_dependency(foundation)  # its API must be on

    for stack in (foundation, network, cluster, storage, alerting):
        labels = {"environment": env.id, "managed_by": "terraform"}
        GoogleProvider(stack, "google", project=env.project, region=env.region, default_labels=labels)
        GcsBackend(stack, bucket=env.state_bucket, prefix=stack.node.id)


def main(ids: list[str]) -> None:
    """Synthesize the environments with these ids."""
    app = App()
    for id in ids or ENVIRONMENTS:
        build(app, ENVIRONMENTS[id])
    app.synth()


if __name__ == "__main__":
    main(sys.argv[1:])
