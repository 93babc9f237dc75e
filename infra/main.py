"""Every stack and every connection between stacks: what the platform is, on one screen.

`python -m infra.main [ENV ...]` writes the Terraform of these environments to $CDKTF_OUTDIR, cdktf.out by default.
Without a name it takes those in $LEADSCORING_ENV, and without that all. It is what `cdktf` runs, so it refuses example
values: what it writes may be applied.
"""

import os
import sys
from collections.abc import Mapping

from infra import example_values
from infra.bindings import App, GcsBackend, GoogleProvider, TerraformStack
from infra.components import spark_batches, watching
from infra.environment import Environment
from infra.environments import ENVIRONMENTS
from infra.releases import digests, image
from infra.stacks.alerting import AlertingStack
from infra.stacks.cluster import ClusterStack
from infra.stacks.database import DatabaseStack
from infra.stacks.delivery import DeliveryStack
from infra.stacks.edge import EdgeStack
from infra.stacks.foundation import FoundationStack
from infra.stacks.lifecycle import LifecycleStack
from infra.stacks.network import NetworkStack
from infra.stacks.serving import NAMESPACE, ServingStack
from infra.stacks.storage import StorageStack
from infra.stacks.tracking import TrackingStack
from monitoring import catalogue
from monitoring.catalogue import promises
from monitoring.dashboards import dashboards
from service.settings import Settings


def build(app: App, env: Environment) -> None:
    """Add the stacks of `env` to `app`, each named `<environment>-<stack>`."""
    foundation = FoundationStack(app, f"{env.id}-foundation", env=env, digests_in_use=digests(env))
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
        compact=foundation.compact,
        reporter=foundation.reporter,
        mlflow=foundation.mlflow,
        spark=foundation.spark,
        namespace=NAMESPACE,
        key=foundation.keys.get("storage"),
    )
    database, tracking = _mlflow(app, env, foundation, network)
    tracking.add_dependency(storage)  # its artifacts' bucket must be there
    lifecycle = LifecycleStack(
        app,
        f"{env.id}-lifecycle",
        env=env,
        image=image(env, "jobs"),
        jobs=foundation.jobs,
        compact=foundation.compact,
        reporter=foundation.reporter,
        network=network.network,
        subnetwork=network.run,
        tracking_url=tracking.url,
        run_key=foundation.keys.get("run"),
        spark=_spark(env, foundation, network),
        probe=foundation.probe,
        watcher=foundation.watcher,
        heartbeat_address=foundation.heartbeat_address,
    )
    lifecycle.add_dependency(tracking)
    serving, edge = _service(app, env, foundation)
    serving.add_dependency(cluster)
    serving.add_dependency(storage)  # the pods read and write the buckets by their constant names
    serving.add_dependency(lifecycle)  # pods are ready once a model is published, and the train job makes the first
    alerting = _alerting(app, env, lifecycle, edge)
    alerting.add_dependency(edge)  # what is asked for must be there
    delivery = DeliveryStack(app, f"{env.id}-delivery", env=env, alerting=f"{env.id}-alerting", smoke=foundation.smoke)
    delivery.add_dependency(foundation)  # its APIs must be on

    stacks = (foundation, network, cluster, storage, database, tracking, lifecycle, serving, edge, alerting, delivery)
    for stack in stacks:
        _configure(stack, env)


def _spark(env: Environment, foundation: FoundationStack, network: NetworkStack) -> dict[str, str]:
    """How the jobs start Spark batches; nothing where they do not."""
    if not (foundation.spark and network.spark):
        return {}
    return spark_batches.variables(
        env, account=foundation.spark, subnetwork=network.spark, key=foundation.keys.get("spark")
    )


def _mlflow(
    app: App, env: Environment, foundation: FoundationStack, network: NetworkStack
) -> tuple[DatabaseStack, TrackingStack]:
    """MLflow's database and its server."""
    database = DatabaseStack(
        app,
        f"{env.id}-database",
        env=env,
        image=image(env, "mlflow-server"),
        network=network.network,
        subnetwork=network.run,
        client_tag=network.database_client,
        mlflow=foundation.mlflow,
        migrator=foundation.migrator,
        password=foundation.migrator_password,
        key=foundation.keys.get("database"),
        run_key=foundation.keys.get("run"),
    )
    tracking = TrackingStack(
        app,
        f"{env.id}-tracking",
        env=env,
        image=image(env, "mlflow-server"),
        network=network.network,
        subnetwork=network.run,
        client_tag=network.database_client,
        account=foundation.mlflow,
        jobs=foundation.jobs,
        database_address=database.address,
        database_authorities=database.authorities,
        database_user=database.server_user,
        run_key=foundation.keys.get("run"),
    )
    return database, tracking


def _service(app: App, env: Environment, foundation: FoundationStack) -> tuple[ServingStack, EdgeStack]:
    """The scoring service and its front door."""
    serving = ServingStack(
        app,
        f"{env.id}-serving",
        env=env,
        image=image(env, "scoring"),
        account=foundation.scoring,
    )
    edge = EdgeStack(
        app,
        f"{env.id}-edge",
        env=env,
        namespace=serving.namespace,
        service=serving.service,
        endpoint_groups=serving.endpoint_groups,
        smoke=foundation.smoke,
        probe=foundation.probe,
    )
    edge.add_dependency(serving)  # so it is destroyed before
    return serving, edge


def _alerting(app: App, env: Environment, lifecycle: LifecycleStack, edge: EdgeStack) -> AlertingStack:
    platform = watching.platform(env, lifecycle.scheduled)
    alerts = catalogue.alerts(platform)
    return AlertingStack(
        app,
        f"{env.id}-alerting",
        env=env,
        alerts=alerts,
        slos=promises.slos(platform),
        dashboards=dashboards(alerts, lifecycle.scheduled),
        health_path=edge.health_path,
    )


def _configure(stack: TerraformStack, env: Environment) -> None:
    """Set the provider of `stack` and where its state is kept."""
    labels = {"environment": env.id, "managed_by": "terraform"}
    GoogleProvider(stack, "google", project=env.project, region=env.region, default_labels=labels)
    GcsBackend(stack, bucket=env.state_bucket, prefix=stack.node.id)


def main(ids: list[str]) -> None:
    """Synthesize the environments with these ids."""
    app = App()
    for id in ids or ENVIRONMENTS:
        build(app, ENVIRONMENTS[id])
    app.synth()


def chosen(arguments: list[str], environ: Mapping[str, str]) -> list[str]:
    """The ids of the environments to write. Ends the process with a message on an unknown id, and on example values."""
    ids = arguments or environ.get("LEADSCORING_ENV", "").split() or list(ENVIRONMENTS)
    if unknown := [id for id in ids if id not in ENVIRONMENTS]:
        sys.exit(f"infra.main: no environment {', '.join(unknown)}; there are {', '.join(ENVIRONMENTS)}")
    try:
        example_values.refuse([ENVIRONMENTS[id] for id in ids], environ, images=True)
    except example_values.ExampleValuesError as error:
        sys.exit(f"infra.main: {error}\nWhat to do: {error.remedy}")
    return ids


if __name__ == "__main__":
    main(chosen(sys.argv[1:], os.environ))
