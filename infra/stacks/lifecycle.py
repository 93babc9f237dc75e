"""The closed loop's jobs on Cloud Run, and the clock that starts them.

Applying a job does not run it. Cloud Scheduler calls the job's `:run` method and may do so twice; every job can
be run twice without harm. Its deadline and retries are the call's alone: those of the work stand on the job.
https://cloud.google.com/run/docs/execute/jobs-on-schedule
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from infra.bindings import (
    Job,
    JobBinaryAuthorization,
    JobContainer,
    JobEnv,
    JobExecution,
    JobIamMember,
    JobMount,
    JobNetwork,
    JobResources,
    JobSecret,
    JobSecretItem,
    JobTask,
    JobVolume,
    JobVpc,
    Lifecycle,
    SchedulerHttp,
    SchedulerJob,
    SchedulerRetry,
    SchedulerToken,
    ServiceAccount,
    TerraformStack,
)
from infra.components import watching
from infra.environment import Environment
from infra.sizing import JOBS, JobSize, job_size
from monitoring import platform

# Outside, 35 minutes without a call should page: two were left out then.
HEARTBEAT, HEARTBEAT_FILE = "*/15 * * * *", "/secrets/heartbeat/address"
PROBE = "*/5 * * * *"  # four samples within the 20 minutes that monitoring/catalogue/probe.py looks at
CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"


@dataclass(frozen=True, slots=True)
class LifecycleJob:
    """`python -m service.lifecycle.<name>`: `tasks` tasks of this size, at most `at_once` at a time."""

    name: str
    schedule: str | None  # None: people start it
    size: JobSize
    arguments: tuple[str, ...]
    tasks: int = 1
    at_once: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)


class LifecycleStack(TerraformStack):
    """The jobs, `python -m service.lifecycle.<job>` each, their schedules, one identity that may start these.

    Two have an identity of their own: `compact` alone may delete records, once it has copied them, and `report` may
    read no lead, for people who may see no lead receive its reports. The others share one. Where the environment pages,
    `heartbeat`, as a third, calls an address outside while monitoring works. People start `train` by hand: it makes the
    first model, and with other arguments promotes and rolls back; its environment variables state where everything is.
    `probe`, with an identity of its own too, scores a trial lead through the front door.
    """

    def __init__(
        self,
        scope: object,
        id: str,
        *,
        env: Environment,
        image: str,
        jobs: str,
        compact: str,
        reporter: str,
        network: str,
        subnetwork: str,
        tracking_url: str,
        run_key: str | None,
        spark: Mapping[str, str],
        probe: str | None,
        watcher: str | None,
        heartbeat_address: str | None,
    ) -> None:
        """`image` ends with a digest; `jobs`, `compact`, `reporter`, `probe` and `watcher` are e-mail addresses of the
        accounts that the closed loop's jobs, its job `compact`, the report, the probe and the heartbeat run as;
        `run_key` is the id of a Cloud KMS key, `heartbeat_address` that of a secret; `spark` holds the variables that
        say how Spark batches run, where they do.
        """
        super().__init__(scope, id)
        starter = ServiceAccount(
            self,
            "starter",
            account_id=env.name("starter"),
            display_name=f"Lead scoring: starter ({env.id})",
            description="Starts jobs on schedule, and can do nothing else.",
        )
        self._starter = str(starter.email)
        self._run_key = run_key
        # Through the network: MLflow is reached from within it alone.
        self._network = JobVpc(
            egress="ALL_TRAFFIC", network_interfaces=[JobNetwork(network=network, subnetwork=subnetwork)]
        )
        lifecycle = _lifecycle(env, tracking_url)
        self.scheduled = _scheduled(lifecycle)
        for job in lifecycle:
            account = {"compact": compact, "report": reporter}.get(job.name, jobs)
            task = self._task(_container(job, image, spark), account=account, seconds=job.size.hours * 3600)
            execution = JobExecution(task_count=job.tasks, parallelism=job.at_once, template=task)
            self._job(env, job.name, job.schedule, execution)
        if probe:
            self._probe(env, image, probe)
        if watcher and heartbeat_address:
            self._heartbeat(env, image, watcher, heartbeat_address)

    def _probe(self, env: Environment, image: str, account: str) -> None:
        """From the internet, as callers ask, not through our network. A run is one sample and is not repeated."""
        metrics = f"projects/{env.project}/locations/{env.region}"
        given = ["--door", f"https://{env.domain}", "--account", account, "--metrics", metrics]
        container = JobContainer(
            name="probe",
            image=image,
            command=["python"],
            args=["-m", "service.lifecycle.probe", *given],
            resources=JobResources(limits={"cpu": "1", "memory": "1Gi"}),
        )
        task = self._task(container, account=account, seconds=240, retries=0, outside=True)
        self._job(env, "probe", PROBE, JobExecution(task_count=1, parallelism=1, template=task))

    def _heartbeat(self, env: Environment, image: str, watcher: str, address: str) -> None:
        """Not one of the jobs that alerts watch: it is what tells when alerts cannot."""
        folder, _, file = HEARTBEAT_FILE.rpartition("/")
        container = JobContainer(
            name="heartbeat",
            image=image,
            command=["python"],
            args=[
                *("-m", "service.lifecycle.heartbeat", "--project", env.project, "--address-file", HEARTBEAT_FILE),
                *("--policies", *watching.policies(env, self.scheduled)),
                *("--channels", *watching.channels(env)),
            ],
            volume_mounts=[JobMount(name="address", mount_path=folder)],
            resources=JobResources(limits={"cpu": "1", "memory": "1Gi"}),
        )
        secret = JobSecret(secret=address, default_mode=0o444, items=[JobSecretItem(path=file, version="latest")])
        volumes = [JobVolume(name="address", secret=secret)]
        task = self._task(container, account=watcher, seconds=300, volumes=volumes)
        self._job(env, "heartbeat", HEARTBEAT, JobExecution(task_count=1, parallelism=1, template=task))

    def _task(
        self,
        container: JobContainer,
        *,
        account: str,
        seconds: int,
        volumes: list[JobVolume] | None = None,
        retries: int = 2,
        outside: bool = False,
    ) -> JobTask:
        return JobTask(
            service_account=account,
            timeout=f"{seconds}s",
            max_retries=retries,
            encryption_key=self._run_key,
            execution_environment="EXECUTION_ENVIRONMENT_GEN2",
            containers=[container],
            volumes=volumes,
            vpc_access=None if outside else self._network,
        )

    def _job(self, env: Environment, name: str, schedule: str | None, execution: JobExecution) -> None:
        job = Job(
            self,
            name,
            name=env.name(name),
            location=env.region,
            deletion_protection=False,  # it holds nothing: what it made lies in the buckets
            launch_stage="GA",
            binary_authorization=JobBinaryAuthorization(use_default=True),
            template=execution,
        )
        if schedule:
            self._schedule(env, name, schedule, job)

    def _schedule(self, env: Environment, name: str, schedule: str, job: Job) -> None:
        invoker = JobIamMember(
            self,
            f"{name}_start",
            name=job.name,
            location=env.region,
            role="roles/run.invoker",
            member=f"serviceAccount:{self._starter}",
        )
        SchedulerJob(
            self,
            f"{name}_schedule",
            name=env.name(name),
            region=env.region,
            description=f"Starts {name}.",
            schedule=schedule,
            time_zone="Etc/UTC",  # no hour is skipped or comes twice
            paused=False,
            attempt_deadline="60s",
            # Scheduler adds the token as a header, which would differ in every plan.
            lifecycle=Lifecycle(ignore_changes=["http_target[0].headers"]),
            retry_config=SchedulerRetry(
                retry_count=3,
                min_backoff_duration="30s",
                max_backoff_duration="300s",
                max_doublings=3,
                max_retry_duration="1800s",
            ),
            http_target=SchedulerHttp(
                http_method="POST",
                uri=f"https://run.googleapis.com/v2/projects/{env.project}/locations/{env.region}"
                f"/jobs/{env.name(name)}:run",
                oauth_token=SchedulerToken(service_account_email=self._starter, scope=CLOUD_PLATFORM),
            ),
            depends_on=[invoker],
        )


def scheduled(env: Environment) -> tuple[platform.Job, ...]:
    """The jobs of an environment that a schedule starts."""
    return _scheduled(_lifecycle(env, tracking_url=""))


def _scheduled(jobs: Iterable[LifecycleJob]) -> tuple[platform.Job, ...]:
    return tuple(platform.Job(job.name, job.schedule, timedelta(hours=job.size.hours)) for job in jobs if job.schedule)


def _lifecycle(env: Environment, tracking_url: str) -> tuple[LifecycleJob, ...]:
    models, leads, predictions = (f"gs://{env.name(thing)}" for thing in ("models", "leads", "predictions"))
    places = {
        "LEADSCORING_MODELS_URL": models,
        "LEADSCORING_PREDICTIONS_URL": predictions,
        "LEADSCORING_LEADS_URL": leads,
        "MLFLOW_TRACKING_URI": tracking_url,
    }
    source = ("--source", env.lead_source)
    data = ("--models", models, "--predictions", predictions, "--leads", leads)
    metrics = f"projects/{env.project}/locations/{env.region}"
    common = (*source, *data, "--tracking", tracking_url, "--metrics", metrics)
    # The scoring service's own count of records, as Managed Prometheus collected it.
    # https://cloud.google.com/stackdriver/docs/managed-prometheus/query-api-ui
    counter = f"https://monitoring.googleapis.com/v1/projects/{env.project}/location/global/prometheus"
    scored = ("--out", f"{predictions}/batch", "--records", predictions)
    files = (*source, "--models", models, "--input", f"{leads}/batch", *scored)

    def job(name: str, schedule: str | None, arguments: tuple[str, ...], **more: Any) -> LifecycleJob:
        return LifecycleJob(name, schedule, job_size(name, env.volume), arguments, **more)

    return (
        job("train", None, source, variables=places),
        job("evaluate", env.evaluate_schedule, (*common, "--counter", counter)),
        job("drift", env.drift_schedule, common),
        job("retrain", env.retrain_schedule, common),
        job("batch", env.batch_schedule, files, tasks=env.batch_tasks, at_once=env.batch_parallelism),
        job("compact", env.compact_schedule, (*data, "--metrics", metrics, "--keep-days", str(env.live_days))),
        job("report", env.report_schedule, ("--models", models, "--metrics", metrics)),
    )


def _container(job: LifecycleJob, image: str, spark: Mapping[str, str]) -> JobContainer:
    variables = {**job.variables, **(spark if JOBS[job.name].on_engine else {})}
    return JobContainer(
        name=job.name,
        image=image,
        command=["python"],
        args=["-m", f"service.lifecycle.{job.name}", *job.arguments],
        env=[JobEnv(name=name, value=value) for name, value in variables.items()],
        resources=JobResources(limits={"cpu": str(job.size.cpus), "memory": f"{job.size.memory_gib}Gi"}),
    )
