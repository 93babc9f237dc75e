"""What everything else stands on: service APIs, one identity per workload, the image registry."""

from infra.bindings import (
    Lifecycle,
    ProjectIamMember,
    ProjectService,
    Registry,
    RegistryDocker,
    RegistryScanning,
    ServiceAccount,
    TerraformStack,
)
from infra.environment import Environment

APIS = (
    "artifactregistry.googleapis.com",
    "billingbudgets.googleapis.com",
    "binaryauthorization.googleapis.com",
    "certificatemanager.googleapis.com",
    "cloudkms.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "compute.googleapis.com",
    "container.googleapis.com",
    "containerscanning.googleapis.com",
    "dns.googleapis.com",
    "gkebackup.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "iap.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "servicenetworking.googleapis.com",
    "sqladmin.googleapis.com",
    "storage.googleapis.com",
    "sts.googleapis.com",
)


class FoundationStack(TerraformStack):
    """APIs, service accounts, registry. The attributes are the accounts' e-mail addresses."""

    scoring: str
    jobs: str
    mlflow: str

    def __init__(self, scope: object, id: str, *, env: Environment) -> None:
        super().__init__(scope, id)
        apis = [
            # Never switched off by a destroy: other things in the project may use the same API.
            ProjectService(self, api.partition(".")[0], project=env.project, service=api, disable_on_destroy=False)
            for api in APIS
        ]

        def account(workload: str, does: str) -> str:
            """A service account without keys: workloads get its tokens from the platform they run on."""
            account = ServiceAccount(
                self,
                workload,
                account_id=env.name(workload),
                display_name=f"Lead scoring: {workload} ({env.id})",
                description=does,
                depends_on=apis,
            )
            return str(account.email)

        self.scoring = account("scoring", "Answers requests for scores.")
        self.jobs = account("jobs", "Evaluates, watches for drift, retrains, scores in batches.")
        self.mlflow = account("mlflow", "Runs the MLflow server.")

        # Time series belong to a project: Cloud Monitoring has nothing narrower to grant on.
        ProjectIamMember(
            self,
            "jobs_metric_writer",
            project=env.project,
            role="roles/monitoring.metricWriter",
            member=f"serviceAccount:{self.jobs}",
        )

        Registry(
            self,
            "images",
            repository_id=env.name("images"),
            location=env.region,
            format="DOCKER",
            mode="STANDARD_REPOSITORY",
            description="Container images of lead scoring; a tag, once pushed, stays what it is.",
            docker_config=RegistryDocker(immutable_tags=True),
            vulnerability_scanning_config=RegistryScanning(enablement_config="INHERITED"),
            depends_on=apis,
            lifecycle=Lifecycle(prevent_destroy=True),
        )
