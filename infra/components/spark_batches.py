"""The identity that Spark batches run as, and who may start them: Serverless for Apache Spark.

https://cloud.google.com/dataproc-serverless/docs/concepts/service-account
"""

from collections.abc import Sequence
from typing import Any

from infra.bindings import (
    ProjectIamCondition,
    ProjectIamMember,
    ServiceAccount,
    ServiceAccountIamMember,
    TerraformStack,
)
from infra.environment import Environment

API = "dataproc.googleapis.com"
STAGING = "spark"  # the bucket of a batch's program, its job and its result
SUBMITTER = "leadScoringSparkSubmitter"  # a role of the project's own: infra/permissions/own_roles.toml


def add_spark_account(stack: TerraformStack, env: Environment, *, jobs: str, after: Sequence[Any]) -> str:
    """The e-mail address of the batches' account, which the account `jobs` may start batches as."""
    account = ServiceAccount(
        stack,
        "spark",
        account_id=env.name("spark"),
        display_name=f"Lead scoring: spark ({env.id})",
        description="Runs Spark batches, which read prediction records.",
        depends_on=list(after),
    )
    # Google demands this role. On a project it would also change and delete the objects of every bucket, so that it
    # counts for no bucket but the batches' own.
    # https://cloud.google.com/iam/docs/conditions-resource-attributes
    bucket = f"projects/_/buckets/{env.name(STAGING)}"
    own_bucket = ProjectIamCondition(
        title="own_bucket_only",
        expression='resource.service != "storage.googleapis.com"'
        f' || resource.name == "{bucket}" || resource.name.startsWith("{bucket}/")',
    )
    ProjectIamMember(
        stack,
        "spark_worker",
        project=env.project,
        role="roles/dataproc.worker",
        member=f"serviceAccount:{account.email}",
        condition=own_bucket,
    )
    # Batches belong to a project: Dataproc has nothing narrower to grant on.
    ProjectIamMember(
        stack,
        "jobs_submit_batches",
        project=env.project,
        role=f"projects/{env.project}/roles/{SUBMITTER}",
        member=f"serviceAccount:{jobs}",
    )
    ServiceAccountIamMember(
        stack,
        "spark_jobs_act_as",
        service_account_id=account.name,
        role="roles/iam.serviceAccountUser",
        member=f"serviceAccount:{jobs}",
    )
    return str(account.email)


def variables(env: Environment, *, account: str, subnetwork: str, key: str | None) -> dict[str, str]:
    """What a job's container is told. `subnetwork` and `key` are ids, `account` an e-mail address."""
    told = {
        "LEADSCORING_RECORD_ENGINE": env.record_engine,
        "LEADSCORING_SPARK_PARENT": f"projects/{env.project}/locations/{env.region}",
        "LEADSCORING_SPARK_SUBNETWORK": subnetwork,
        "LEADSCORING_SPARK_ACCOUNT": account,
        "LEADSCORING_SPARK_STAGING": f"gs://{env.name(STAGING)}",
    }
    return told | ({"LEADSCORING_SPARK_KEY": key} if key else {})
