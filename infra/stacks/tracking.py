"""The MLflow server on Cloud Run: private by IAM, reached from within the network, several but few connections."""

from infra.bindings import (
    Lifecycle,
    Service,
    ServiceBinaryAuthorization,
    ServiceContainer,
    ServiceEnv,
    ServiceHttpGet,
    ServiceIamMember,
    ServiceLiveness,
    ServiceLivenessGet,
    ServiceNetwork,
    ServicePort,
    ServiceResources,
    ServiceScaling,
    ServiceStartup,
    ServiceTemplate,
    ServiceTraffic,
    ServiceVpc,
    TerraformStack,
)
from infra.environment import MLFLOW_OVERFLOW, MLFLOW_POOL, Environment
from infra.stacks import database

PORT = 5000
HEALTH = "/health"  # answered without login, host check or database


class TrackingStack(TerraformStack):
    """MLflow. `url` is where it answers."""

    url: str

    def __init__(
        self,
        scope: object,
        id: str,
        *,
        env: Environment,
        image: str,
        network: str,
        subnetwork: str,
        client_tag: str,
        account: str,
        jobs: str,
        database_address: str,
        database_authorities: str,
        database_user: str,
        run_key: str | None,
    ) -> None:
        """`account` and `jobs` are e-mail addresses: who the server runs as, and who may call it.

        `database_authorities` are certificates (PEM) of those who sign for the database.
        """
        super().__init__(scope, id)
        # The name that does not depend on chance: https://cloud.google.com/run/docs/triggering/https-request#url-format
        host = f"{env.name('mlflow')}-{env.project_number}.{env.region}.run.app"
        self.url = f"https://{host}"
        # The other one has a hash in it, which nobody knows before the service is there.
        hosts = f"{host},{env.name('mlflow')}-*.a.run.app"
        least, most = env.mlflow_instances
        variables = {
            "TRACKING_DATABASE_HOST": database_address,
            "TRACKING_DATABASE_CA": database_authorities,  # public, so no secret
            "TRACKING_DATABASE_NAME": database.NAME,
            "TRACKING_DATABASE_USER": database_user,
            "TRACKING_DATABASE_LOGIN": "iam",  # a token for each new connection: there is no password
            "TRACKING_ARTIFACTS_URL": f"gs://{env.name('artifacts')}",
            "TRACKING_ALLOWED_HOSTS": hosts,
            "TRACKING_AUTHENTICATED_BY": "cloud-run",  # nobody comes this far without run.invoker
            "TRACKING_WORKERS": str(env.mlflow_workers),
            "TRACKING_POOL_SIZE": str(MLFLOW_POOL),
            "TRACKING_MAX_OVERFLOW": str(MLFLOW_OVERFLOW),
        }
        service = Service(
            self,
            "mlflow",
            name=env.name("mlflow"),
            location=env.region,
            description="MLflow: runs, models, artifacts.",
            deletion_protection=False,  # it holds nothing: what it keeps is in database and bucket
            launch_stage="GA",
            # A person's `gcloud run services proxy` comes from the internet: only where somebody is named, and then
            # Cloud Run asks IAM who it is before the container sees a request.
            ingress="INGRESS_TRAFFIC_ALL" if env.mlflow_viewers else "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
            invoker_iam_disabled=False,
            custom_audiences=[self.url],
            binary_authorization=ServiceBinaryAuthorization(use_default=True),
            # The template scales. What the service says of it reads as not set or as zeros, whichever was not written.
            lifecycle=Lifecycle(ignore_changes=["scaling"]),
            traffic=[ServiceTraffic(type="TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", percent=100)],
            template=ServiceTemplate(
                service_account=account,
                execution_environment="EXECUTION_ENVIRONMENT_GEN2",
                encryption_key=run_key,
                timeout="300s",
                max_instance_request_concurrency=env.mlflow_workers * 20,
                session_affinity=False,
                scaling=ServiceScaling(min_instance_count=least, max_instance_count=most),
                containers=[_container(image, variables)],
                vpc_access=ServiceVpc(
                    egress="ALL_TRAFFIC",
                    network_interfaces=[ServiceNetwork(network=network, subnetwork=subnetwork, tags=[client_tag])],
                ),
            ),
        )
        callers = {"jobs_call": f"serviceAccount:{jobs}"}
        callers |= {f"viewer_{number}": viewer for number, viewer in enumerate(env.mlflow_viewers)}
        for name, member in callers.items():
            ServiceIamMember(
                self, name, name=service.name, location=env.region, role="roles/run.invoker", member=member
            )


def _container(image: str, variables: dict[str, str]) -> ServiceContainer:
    return ServiceContainer(
        name="mlflow",
        image=image,
        args=["serve"],
        ports=ServicePort(name="http1", container_port=PORT),
        env=[ServiceEnv(name=name, value=value) for name, value in variables.items()],
        resources=ServiceResources(limits={"cpu": "1", "memory": "2Gi"}, cpu_idle=True, startup_cpu_boost=True),
        # The first connection out of a new instance may take a minute and more.
        # https://cloud.google.com/run/docs/configuring/vpc-direct-vpc#limitations
        startup_probe=ServiceStartup(
            http_get=ServiceHttpGet(path=HEALTH, port=PORT),
            initial_delay_seconds=0,
            period_seconds=10,
            timeout_seconds=5,
            failure_threshold=24,
        ),
        liveness_probe=ServiceLiveness(
            http_get=ServiceLivenessGet(path=HEALTH, port=PORT),
            initial_delay_seconds=0,
            period_seconds=30,
            timeout_seconds=5,
            failure_threshold=3,
        ),
    )
