"""What an environment is: a frozen set of checked values. The values stand in `environments.py`."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# Google's own limits: project ids 6 to 30 characters, service account ids 6 to 30, buckets 3 to 63. Prefix
# and id take 22 of them at most, with their hyphens, which leaves 8 for the name of a workload.
# https://cloud.google.com/resource-manager/docs/creating-managing-projects
# https://cloud.google.com/iam/docs/service-accounts-create
ProjectId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")]
Region = Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$")]
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
HttpsUrl = Annotated[str, Field(pattern=r"^https://[^\s/]+\.[^\s/]+(/\S*[^\s/])?$")]
Cron = Annotated[str, Field(pattern=r"^[\d*,/-]+( [\d*,/-]+){4}$")]  # minute, hour, day, month, day of the week; UTC
SourceFile = Annotated[str, Field(pattern=r"^service/examples/[a-z0-9_]+\.toml$")]

JOB_CPUS = 2  # of each task of a job


class Environment(BaseModel):
    """One Google Cloud project that runs the platform.

    Raises pydantic.ValidationError, naming each field and the reason, for values the cloud would refuse.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{1,7}$")]
    prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,10}[a-z0-9]$")]  # your company, your product
    project: ProjectId
    region: Region

    pages: bool  # False: what would page somebody writes a mail instead
    ticket_email: Email
    runbooks_url: HttpsUrl  # the folder of monitoring/runbooks in your repository, as people open it

    # Days, in this order: leads and predictions live, lie overwritten or deleted but recoverable as a
    # noncurrent version, then as a soft-deleted object; all three together are personal_data_days.
    personal_data_days: Annotated[int, Field(ge=30, le=3650)] = 400
    noncurrent_days: Annotated[int, Field(ge=1, le=90)] = 14
    soft_delete_days: Annotated[int, Field(ge=7, le=90)] = 7  # 7 to 90 is what Cloud Storage takes
    access_log_days: Annotated[int, Field(ge=30, le=3650)] = 400

    lead_source: SourceFile  # one deployment serves one; a second campaign is a second environment
    evaluate_schedule: Cron = "0 5 * * *"
    drift_schedule: Cron = "0 6 * * *"
    retrain_schedule: Cron = "0 7 * * 1"
    batch_schedule: Cron = "0 3 * * *"
    batch_tasks: Annotated[int, Field(ge=1, le=10_000)] = 1  # https://cloud.google.com/run/quotas
    batch_parallelism: Annotated[int, Field(ge=1, le=10_000)] = 1  # tasks that run at once
    job_cpu_quota: Annotated[int, Field(ge=JOB_CPUS)]  # CPUs that the project may use on Cloud Run in its region

    @property
    def live_days(self) -> int:
        """Days for which a lead or prediction can be read."""
        return self.personal_data_days - self.noncurrent_days - self.soft_delete_days

    @model_validator(mode="after")
    def _personal_data_outlives_recovery(self) -> Self:
        if self.live_days < 1:
            raise ValueError(
                f"personal_data_days: {self.personal_data_days} leaves no day to live beside "
                f"noncurrent_days {self.noncurrent_days} and soft_delete_days {self.soft_delete_days}"
            )
        return self

    @model_validator(mode="after")
    def _batch_fits_the_quota(self) -> Self:
        if self.batch_parallelism > self.batch_tasks:
            raise ValueError(f"batch_parallelism: {self.batch_parallelism} is more than batch_tasks {self.batch_tasks}")
        if self.batch_parallelism * JOB_CPUS > self.job_cpu_quota:
            raise ValueError(
                f"batch_parallelism: {self.batch_parallelism} tasks of {JOB_CPUS} CPUs are more than "
                f"job_cpu_quota {self.job_cpu_quota}"
            )
        return self

    def name(self, thing: str) -> str:
        """`<prefix>-<environment>-<thing>`, the name of a resource."""
        return f"{self.prefix}-{self.id}-{thing}"

    @property
    def state_bucket(self) -> str:
        """The bucket of the Terraform states; it must be there before the first deploy."""
        return self.name("state")
