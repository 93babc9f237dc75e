"""What an environment is: a frozen set of checked values. The values stand in `environments.py`."""

import math
from ipaddress import IPv4Network
from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from infra import sizing
from infra.sizing import RecordEngine, Volume
from service.rhythm import LOOP

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
Number = Annotated[str, Field(pattern=r"^[0-9]{1,19}$")]
# A user or a schedule of PagerDuty's, with the id at the end of its page's address.
OnCall = Annotated[str, Field(pattern=r"^(user|schedule):[A-Z0-9]{7,14}$")]
Domain = Annotated[str, Field(pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$", max_length=253)]
Group = Annotated[str, Field(pattern=r"^group:[^@\s]+@[^@\s]+\.[^@\s]+$")]
Caller = Annotated[str, Field(pattern=r"^(group|serviceAccount):[^@\s]+@[^@\s]+\.[^@\s]+$")]

# RFC 1918, which every service in use takes for private.
PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
# How small a range may be: of nodes and pods (32 a node, so a /26 for each) for a cluster to grow; of the others by
# https://cloud.google.com/kubernetes-engine/docs/concepts/alias-ips#cluster_sizing_secondary_range_svcs
# https://cloud.google.com/run/docs/configuring/vpc-direct-vpc#direct-vpc-ip-allocation
# https://cloud.google.com/vpc/docs/configure-private-services-access#allocating-range
SMALLEST = {
    "nodes_cidr": 26,
    "pods_cidr": 20,
    "services_cidr": 27,
    "run_cidr": 26,
    "peering_cidr": 24,
    "spark_cidr": 26,
}


def _range(cidr: str) -> str:
    IPv4Network(cidr)  # ValueError, which names the fault; host bits are one
    if "/" not in cidr:
        raise ValueError("give a range: address/length")
    return cidr


def _private(cidr: str) -> str:
    if not any(IPv4Network(cidr).subnet_of(private) for private in PRIVATE):
        raise ValueError("not within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    return cidr


def _public(cidr: str) -> str:
    if not IPv4Network(cidr).is_global or any(map(IPv4Network(cidr).overlaps, PRIVATE)):
        raise ValueError("not a range of public addresses")
    return cidr


PrivateCidr = Annotated[str, AfterValidator(_range), AfterValidator(_private)]
PublicCidr = Annotated[str, AfterValidator(_range), AfterValidator(_public)]

# https://cloud.google.com/sql/docs/postgres/instance-settings#machine-type-2ndgen
DatabaseTier = Annotated[str, Field(pattern=r"^db-(f1-micro|g1-small|custom-(1|[1-9]?[02468])-[1-9][0-9]{3,5})$")]

LEAST_PER_MINUTE, MOST_PER_MINUTE = 1_200, 100_000  # requests from one address, a choice

# Connections of MLflow: each worker keeps an engine for runs and one for the registry, each engine a pool; and asks
# for readiness with one more.
MLFLOW_ENGINES, MLFLOW_POOL, MLFLOW_OVERFLOW = 2, 2, 3
# For none of its workers: 3 that PostgreSQL keeps for superusers, 2 of a migration, 5 for people and Google's agents.
RESERVED_CONNECTIONS = 10


class Environment(BaseModel):
    """One Google Cloud project that runs the platform.

    Raises pydantic.ValidationError, naming each field and the reason, for values the cloud would refuse.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{1,7}$")]
    prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,10}[a-z0-9]$")]  # your company, your product
    project: ProjectId
    project_number: Annotated[str, Field(pattern=r"^[0-9]{6,19}$")]  # gcloud projects describe PROJECT
    region: Region

    billing_account: Annotated[str, Field(pattern=r"^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$")]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]  # the billing account's; a budget has no other
    monthly_budget: Annotated[int, Field(ge=1)]  # at half, nine tenths and all of it a mail is sent

    # Private address ranges, none within another: to change one replaces what lies in it.
    nodes_cidr: PrivateCidr
    pods_cidr: PrivateCidr
    services_cidr: PrivateCidr
    run_cidr: PrivateCidr  # Cloud Run's services and jobs
    peering_cidr: PrivateCidr  # Google's own network, where the database is
    spark_cidr: PrivateCidr | None = None  # the machines of Spark batches, where record_engine is "spark"
    internet_cidrs: tuple[PublicCidr, ...] = ()  # what may be reached outside Google, over HTTPS: your CRM
    flow_log_sampling: Annotated[float, Field(ge=0, le=1)] = 0.1

    # Keys of your own in Cloud KMS for buckets, database, images, secrets, backups. Decide before the first deploy: a
    # database or registry that changes its key is replaced. The cluster's secrets always have one.
    customer_keys: bool = False
    release_channel: Literal["RAPID", "REGULAR", "STABLE"] = "REGULAR"  # how early GKE's versions come
    backup_days: Annotated[int, Field(ge=1, le=365)] = 7  # for which backups of cluster and database are kept

    database_tier: DatabaseTier = "db-custom-1-3840"
    database_standby: bool = False  # a second one in another zone takes over
    database_recovery_days: Annotated[int, Field(ge=0, le=7)] = 0  # back to any moment within them; 0: to a backup
    database_connections: Annotated[int, Field(ge=25, le=1000)] = 100  # max_connections, at about 10 MB each
    migrator_password_version: Annotated[int, Field(ge=1)] = 1  # add 1 after a new version of the secret
    mlflow_instances: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1, le=20)]] = (0, 2)  # least, most
    mlflow_viewers: tuple[Group, ...] = ()  # who may open MLflow from a laptop; they may change all that it holds
    mlflow_workers: Annotated[int, Field(ge=1, le=8)] = 2

    pages: bool  # False: what would page somebody writes a mail instead
    ticket_email: Email
    page_backup_email: Email | None = None  # is told of every page too, should PagerDuty not be reached
    escalate_to: OnCall | None = None  # whom runbooks escalate to; needed where pages
    # Makes PagerDuty's services, escalation policies and grouping as code, with the token in PAGERDUTY_TOKEN; None: the
    # service is made by hand, and its key comes with TF_VAR_pagerduty_key.
    on_call: OnCall | None = None  # who is paged first; after ten minutes without an answer `escalate_to` is
    ticket_owner: OnCall | None = None  # gets tickets at a low urgency too; None: they are mails alone
    page_group_minutes: Annotated[int, Field(ge=1, le=1440)] | None = 30  # None: the PagerDuty plan cannot group
    report_email: Email | None = None  # where the weekly report's address is mailed to; None: nowhere
    report_readers: tuple[Group, ...] = ()  # who may open weekly reports; they may see nothing else
    runbooks_url: HttpsUrl  # the folder of monitoring/runbooks in your repository, as people open it

    # What happens when the error budget of a promise to callers is spent, beside a ticket: nothing, a page, or
    # scripts/deploy refuses until it is earned back, but for a reason.
    budget_spent: Literal["ticket", "page", "freeze"] = "ticket"

    # Days, in this order: leads and predictions live, lie overwritten or deleted but recoverable as a
    # noncurrent version, then as a soft-deleted object; all three together are personal_data_days.
    personal_data_days: Annotated[int, Field(ge=30, le=3650)] = 400
    noncurrent_days: Annotated[int, Field(ge=1, le=90)] = 14
    soft_delete_days: Annotated[int, Field(ge=7, le=90)] = 7  # 7 to 90 is what Cloud Storage takes
    usage_logs: bool = True  # of buckets; domain-restricted sharing refuses the group of Google's that delivers them
    access_log_days: Annotated[int, Field(ge=30, le=3650)] = 400
    log_days: Annotated[int, Field(ge=1, le=3650)] = 30  # as long as they cost nothing extra
    audit_log_days: Annotated[int, Field(ge=30, le=3650)] = 400  # who read and wrote data
    # Copies what pods, jobs and MLflow log to a bucket of Cloud Storage, where it lies for so many days; None: no copy.
    application_log_days: Annotated[int, Field(ge=1, le=3650)] | None = None

    # Leads that are scored in a day of work, by requests and in batches; one that is scored again counts again. From
    # both follow the jobs' sizes, the least number of pods, and the traffic that alerts wait for (`infra/sizing.py`).
    leads_per_day: Annotated[int, Field(ge=1, le=1_000_000_000)] = 400_000
    leads_per_request: Annotated[int, Field(ge=1, le=1_000)] = 1  # in the mean; the service takes 1,000 at most
    record_engine: RecordEngine = "duckdb"  # what the jobs read prediction records with

    scoring_replicas: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1, le=1000)]]  # least, most
    scoring_millicpus: Annotated[int, Field(ge=250, multiple_of=250)] = 500  # one pod's
    scoring_memory_mib: Annotated[int, Field(ge=512)] = 1024

    domain: Domain  # where the service answers; its address and certificate records are the edge stack's outputs
    probe: bool = True  # a job scores a trial lead through the front door every five minutes, as callers do
    callers: Annotated[tuple[Caller, ...], Field(min_length=1)]  # who may call it; nobody else does
    # From one address; None: what leads_per_day needs in its busiest minute, should all come from one, at least 1,200.
    requests_per_minute: Annotated[int, Field(ge=10, le=MOST_PER_MINUTE)] | None = None
    pod_requests_per_second: Annotated[int, Field(ge=1, le=10_000)] = 500  # what one pod gets before another zone does
    enforce_managed_rules: bool = False  # look at a week of previews first

    # Numbers, for a name can be given up and taken: https://api.github.com/repos/OWNER/REPOSITORY says both.
    github_repository_id: Number
    github_owner_id: Number
    github_branch: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")] = "main"
    github_environment: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]  # protected by reviewers

    lead_source: SourceFile  # one deployment serves one; a second campaign is a second environment
    evaluate_schedule: Cron = LOOP.crons["evaluate"]
    drift_schedule: Cron = LOOP.crons["drift"]
    retrain_schedule: Cron = LOOP.crons["retrain"]
    batch_schedule: Cron = LOOP.crons["batch"]
    compact_schedule: Cron = LOOP.crons["compact"]
    report_schedule: Cron = LOOP.crons["report"]
    batch_tasks: Annotated[int, Field(ge=1, le=10_000)] = 1  # https://cloud.google.com/run/quotas
    batch_parallelism: Annotated[int, Field(ge=1, le=10_000)] = 1  # tasks that run at once
    job_cpu_quota: Annotated[int, Field(ge=1)]  # CPUs that the project may use on Cloud Run in its region

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
    def _a_page_has_two_ways(self) -> Self:
        if self.pages and not self.page_backup_email:
            raise ValueError("page_backup_email: missing; where somebody is paged there are two ways to reach them")
        return self

    @model_validator(mode="after")
    def _a_page_can_be_escalated(self) -> Self:
        if self.pages and not self.escalate_to:
            raise ValueError(
                "escalate_to: missing; where somebody is paged the runbooks say whom to escalate to: give the "
                "PagerDuty schedule (or user) as schedule:ID, with the id at the end of its page's address"
            )
        if self.on_call and not self.pages:
            raise ValueError("on_call: nobody is paged where pages is False; leave it out, or set pages=True")
        if self.on_call and self.on_call == self.escalate_to:
            raise ValueError(f"escalate_to: {self.escalate_to} is on_call too: a page that nobody answers goes nowhere")
        if self.ticket_owner and not self.on_call:
            raise ValueError("ticket_owner: needs on_call, with which PagerDuty's services are made")
        return self

    @model_validator(mode="after")
    def _a_spent_budget_pages_where_pages_go_out(self) -> Self:
        if self.budget_spent == "page" and not self.pages:
            raise ValueError('budget_spent: "page" needs pages=True; this environment pages nobody')
        return self

    @model_validator(mode="after")
    def _replicas_are_a_range(self) -> Self:
        least, most = self.scoring_replicas
        if least > most:
            raise ValueError(f"scoring_replicas: least {least} is more than most {most}")
        return self

    @property
    def volume(self) -> Volume:
        """What the jobs must hold."""
        return Volume(self.leads_per_day, self.live_days, self.record_engine)

    @property
    def address_requests_per_minute(self) -> int:
        """How many requests are taken from one address."""
        busiest = math.ceil(60 * sizing.peak_requests_per_second(self.leads_per_day, self.leads_per_request))
        return self.requests_per_minute or min(max(LEAST_PER_MINUTE, busiest), MOST_PER_MINUTE)

    @model_validator(mode="after")
    def _jobs_hold_the_volume_and_fit_the_quota(self) -> Self:
        try:
            cpus = {job: sizing.job_size(job, self.volume).cpus for job in sizing.JOBS}
        except sizing.TooLarge as error:
            raise ValueError(f"record_engine: {error}") from error
        if self.batch_parallelism > self.batch_tasks:
            raise ValueError(f"batch_parallelism: {self.batch_parallelism} is more than batch_tasks {self.batch_tasks}")
        for job, count in cpus.items():
            tasks = self.batch_parallelism if job == "batch" else 1
            if tasks * count > self.job_cpu_quota:
                field = "batch_parallelism" if job == "batch" else "leads_per_day"
                raise ValueError(
                    f"{field}: {tasks} tasks of {count} CPUs, of the job {job}, are more than "
                    f"job_cpu_quota {self.job_cpu_quota}"
                )
        return self

    @model_validator(mode="after")
    def _pods_carry_the_volume(self) -> Self:
        peak = sizing.peak_requests_per_second(self.leads_per_day, self.leads_per_request)
        pod = sizing.pod_requests_per_second(self.scoring_millicpus, self.leads_per_request)
        if self.scoring_replicas[0] < (pods := math.ceil(peak / (sizing.AUTOSCALER_TARGET * pod))):
            raise ValueError(
                f"scoring_replicas: least {self.scoring_replicas[0]} is fewer than the {pods} pods that carry the "
                f"busiest minute: leads_per_day {self.leads_per_day} in requests of {self.leads_per_request} are "
                f"{peak:,.0f} requests a second, and a pod answers "
                f"{sizing.AUTOSCALER_TARGET * pod:,.0f} at the autoscaler's target"
            )
        if self.pod_requests_per_second > pod:
            raise ValueError(
                f"pod_requests_per_second: {self.pod_requests_per_second} requests of {self.leads_per_request} leads "
                f"are more than the {pod:,.0f} that a pod of {self.scoring_millicpus} millicpus answers"
            )
        return self

    @property
    def mlflow_connections(self) -> int:
        """The most that MLflow opens: all pools full, and twice that while a new revision takes over."""
        per_instance = self.mlflow_workers * (MLFLOW_ENGINES * (MLFLOW_POOL + MLFLOW_OVERFLOW) + 1)
        return 2 * self.mlflow_instances[1] * per_instance

    @model_validator(mode="after")
    def _mlflow_fits_its_database(self) -> Self:
        least, most = self.mlflow_instances
        if least > most:
            raise ValueError(f"mlflow_instances: least {least} is more than most {most}")
        if self.mlflow_connections + RESERVED_CONNECTIONS > self.database_connections:
            raise ValueError(
                f"database_connections: {self.database_connections} is less than the {self.mlflow_connections} that "
                f"MLflow may open and the {RESERVED_CONNECTIONS} that are kept for others"
            )
        return self

    @model_validator(mode="after")
    def _spark_has_a_range(self) -> Self:
        if self.record_engine == "spark" and not self.spark_cidr:
            raise ValueError('spark_cidr: missing; the machines of record_engine "spark" need a range of addresses')
        return self

    @model_validator(mode="after")
    def _ranges_are_large_enough_and_apart(self) -> Self:
        ranges = {field: IPv4Network(cidr) for field in SMALLEST if (cidr := getattr(self, field))}
        for field, range_ in ranges.items():
            if range_.prefixlen > SMALLEST[field]:
                raise ValueError(f"{field}: {range_} is smaller than /{SMALLEST[field]}")
        for one, other in combinations(ranges, 2):
            if ranges[one].overlaps(ranges[other]):
                raise ValueError(f"{one}: {ranges[one]} overlaps {other} {ranges[other]}")
        return self

    def name(self, thing: str) -> str:
        """`<prefix>-<environment>-<thing>`, the name of a resource."""
        return f"{self.prefix}-{self.id}-{thing}"

    def email(self, account: str) -> str:
        """The address of one of our service accounts."""
        return f"{self.name(account)}@{self.project}.iam.gserviceaccount.com"

    @property
    def images(self) -> str:
        """Where the container images are, without a slash at the end."""
        return f"{self.region}-docker.pkg.dev/{self.project}/{self.name('images')}"

    @property
    def state_bucket(self) -> str:
        """The bucket of the Terraform states; it must be there before the first deploy."""
        return self.name("state")
