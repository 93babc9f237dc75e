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

    def name(self, thing: str) -> str:
        """`<prefix>-<environment>-<thing>`, the name of a resource."""
        return f"{self.prefix}-{self.id}-{thing}"

    @property
    def state_bucket(self) -> str:
        """The bucket of the Terraform states; it must be there before the first deploy."""
        return self.name("state")
