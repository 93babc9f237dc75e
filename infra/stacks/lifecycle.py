"""The closed loop's jobs on Cloud Run, and the clock that starts them.

Applying a job does not run it. Cloud Scheduler calls the job's `:run` method and may do so twice; every job can
be run twice without harm. Its deadline and retries are the call's alone: those of the work stand on the job.
https://cloud.google.com/run/docs/execute/jobs-on-schedule
"""

from datetime import timedelta

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
    SchedulerHttp,
    SchedulerJob,
    SchedulerRetry,
    SchedulerToken,
    ServiceAccount,
    TerraformStack,
)
from infra.environment import JOB_CPUS, Environment
from monitoring import platform

# Outside, 35 minutes without a call should page: two were left out then.
HEARTBEAT, HEARTBEAT_FILE = "*/15 * * * *", "/secrets/heartbeat/address"
CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"


class LifecycleStack(TerraformStack):
    """The jobs, `python -m service.lifecycle.<job>` each, their schedules, one identity that may start these.

    Four are the closed loop's; where the environment pages, a fifth one says outside that the watching works. People
    start `train`, which makes the first model, by hand. With other arguments it does what else is done by hand,
    promote and roll back: its environment says where everything is.
    """

    def __init__(
        self,
        scope: object,
        id: str,
        *,
        env: Environment,
        image: str,
        jobs: str,
        network: str,
        subnetwork: str,
        tracking_url: str,
        run_key: str | None,
        watcher: str | None,
        heartbeat_address: str | None,
    ) -> None:
        """`image` ends with a digest, `jobs` and `watcher` are e-mail addresses of the accounts that the closed loop's
        jobs and the heartbeat run as, `run_key` is the id of a Cloud KMS key, `heartbeat_address` that of a secret."""
        super().__init__(scope, id)
        starter = ServiceAccount(
            self,
            "starter",
            account_id=env.name("starter"),
            display_name=f"Lead scoring: starter ({env.id})",
            description="Starts jobs on schedule, and can do nothing else.",
        )
        models, leads, predictions = (f"gs://{env.name(thing)}" for thing in ("models", "leads", "predictions"))
        metrics = f"projects/{env.project}/locations/{env.region}"
        data = ("--models", models, "--predictions", predictions, "--leads", leads)
        scheduled: list[platform.Job] = []
        loop = ("--source", env.lead_source, *data, "--tracking", tracking_url, "--metrics", metrics)
        # The scoring service's own count of records, as Managed Prometheus collected it.
        # https://cloud.google.com/stackdriver/docs/managed-prometheus/query-api-ui
        counter = f"https://monitoring.googleapis.com/v1/projects/{env.project}/location/global/prometheus"
        files = (
            "--source",
            env.lead_source,
            "--models",
            models,
            "--input",
            f"{leads}/batch",
            "--out",
            f"{predictions}/batch",
        )

        places = {
            "LEADSCORING_MODELS_URL": models,
            "LEADSCORING_PREDICTIONS_URL": predictions,
            "LEADSCORING_LEADS_URL": leads,
            "MLFLOW_TRACKING_URI": tracking_url,
        }

        def job(
            name: str, schedule: str | None, hours: int, arguments: tuple[str, ...], tasks: int = 1, at_once: int = 1
        ) -> None:
            if schedule:
                scheduled.append(platform.Job(name, schedule, timedelta(hours=hours)))
            container = JobContainer(
                name=name,
                image=image,
                command=["python"],
                args=["-m", f"service.lifecycle.{name}", *arguments],
                env=[] if schedule else [JobEnv(name=n, value=value) for n, value in places.items()],
                resources=JobResources(limits={"cpu": str(JOB_CPUS), "memory": "8Gi"}),
            )
            make(name, schedule, container, account=jobs, seconds=hours * 3600, tasks=tasks, at_once=at_once)

        def make(
            name: str,
            schedule: str | None,
            container: JobContainer,
            *,
            account: str,
            seconds: int,
            tasks: int = 1,
            at_once: int = 1,
            volumes: list[JobVolume] | None = None,
        ) -> None:
            made = Job(
                self,
                name,
                name=env.name(name),
                location=env.region,
                deletion_protection=False,  # it holds nothing: what it made lies in the buckets
                launch_stage="GA",
                binary_authorization=JobBinaryAuthorization(use_default=True),
                template=JobExecution(
                    task_count=tasks,
                    parallelism=at_once,
                    template=JobTask(
                        service_account=account,
                        timeout=f"{seconds}s",
                        max_retries=2,
                        encryption_key=run_key,
                        execution_environment="EXECUTION_ENVIRONMENT_GEN2",
                        containers=[container],
                        volumes=volumes,
                        # Through the network: MLflow is reached from within it alone.
                        vpc_access=JobVpc(
                            egress="ALL_TRAFFIC",
                            network_interfaces=[JobNetwork(network=network, subnetwork=subnetwork)],
                        ),
                    ),
                ),
            )
            if schedule is None:
                return
            invoker = JobIamMember(
                self,
                f"{name}_start",
                name=made.name,
                location=env.region,
                role="roles/run.invoker",
                member=f"serviceAccount:{starter.email}",
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
                    oauth_token=SchedulerToken(service_account_email=starter.email, scope=CLOUD_PLATFORM),
                ),
                depends_on=[invoker],
            )

        job("train", None, 6, ("--source", env.lead_source))
        job("evaluate", env.evaluate_schedule, 1, (*loop, "--counter", counter))
        job("drift", env.drift_schedule, 1, loop)
        job("retrain", env.retrain_schedule, 6, loop)
        job("batch", env.batch_schedule, 2, files, tasks=env.batch_tasks, at_once=env.batch_parallelism)
        self.scheduled = tuple(scheduled)
        if watcher and heartbeat_address:
            # Not one of the jobs that alerts watch: it is what tells when alerts cannot.
            folder, _, file = HEARTBEAT_FILE.rpartition("/")
            container = JobContainer(
                name="heartbeat",
                image=image,
                command=["python"],
                args=["-m", "service.lifecycle.heartbeat", "--project", env.project, "--address-file", HEARTBEAT_FILE],
                volume_mounts=[JobMount(name="address", mount_path=folder)],
                resources=JobResources(limits={"cpu": "1", "memory": "1Gi"}),
            )
            secret = JobSecret(
                secret=heartbeat_address, default_mode=0o444, items=[JobSecretItem(path=file, version="latest")]
            )
            volumes = [JobVolume(name="address", secret=secret)]
            make("heartbeat", HEARTBEAT, container, account=watcher, seconds=300, volumes=volumes)
