"""The platform as scripts/up starts it, with callers and scheduled jobs: what a drill breaks and mends."""

import json
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.local.processes import Processes, Program, ProgramEnded, free
from service.local.up import MLFLOW_ENVIRONMENT, Folders, mlflow_command
from service.model.schema import LeadSchema
from tests.drill import jobs
from tests.drill.bucket import NAME as BUCKET
from tests.drill.bucket import RevocableBucket
from tests.drill.cloud_monitoring import CloudMonitoring
from tests.drill.front import HEADER, FaultyProxy
from tests.drill.jobs import Jobs
from tests.drill.outside import HeartbeatReceiver
from tests.drill.pods import Pods, Run
from tests.drill.traffic import Traffic
from tests.service.api.issuer import AUDIENCE, Issuer

SOURCE = """
name = "drill"
target_column = "converted"
positive = true
id_column = "lead_id"
time_column = "created_at"
leaks = ["contract_value"]
metric = "profit"
[sample]
rows = 3000
[economics]
conversion_value = 600
contact_cost = 60
"""
OFTEN_S = 0.5
"""How often pointer and spool are looked at, instead of every five seconds."""
FIRST_S = 600.0
"""How long the first runs of the jobs may take, on a busy machine too."""


@dataclass
class LocalPlatform:
    """What runs. Places are below `home`, as below `.platform/<source>`."""

    home: Path
    processes: Processes
    pods: Pods
    figures_port: int
    front: FaultyProxy
    traffic: Traffic
    jobs: Jobs
    monitoring: CloudMonitoring
    outside: HeartbeatReceiver
    bucket: RevocableBucket
    issuer: Issuer
    essential: tuple[Program, ...]
    deleted: list[Any] = field(default_factory=list)
    """Policies that faults deleted."""

    def close(self) -> None:
        """Stop what runs in this process; programs are stopped by their Processes."""
        self.jobs.stop()
        self.pods.close()
        self.traffic.stop()
        self.front.close()
        self.outside.stop()
        self.monitoring.close()
        self.bucket.close()
        self.issuer.close()


def pod(processes: Processes, home: Path, bucket: RevocableBucket, issuer: Issuer) -> Run:
    """How a pod of the service is started, which lets in whom the proxy vouches for."""
    same = {
        "models_url": str(home / "store"),
        "predictions_url": f"gs://{BUCKET}",
        "iap_audience_file": str(home / "audience"),
        "iap_keys_url": issuer.url,
        "poll_seconds": str(OFTEN_S),
        "upload_seconds": str(OFTEN_S),
    }

    def run(name: str, port: int, settings: dict[str, str]) -> Program:
        told = {**same, "spool_dir": str(home / "spool" / name), "port": str(port), **settings}
        environment = {f"LEADSCORING_{key.upper()}": value for key, value in told.items()}
        environment["STORAGE_EMULATOR_HOST"] = bucket.address
        return processes.start(f"api-{name}", [sys.executable, "-m", "service.api"], environment)

    return run


def build(
    home: Path, processes: Processes, pagerduty: str, runbooks: str, tell: Callable[[str], None]
) -> LocalPlatform:
    """Start everything that is watched, and what watches it from outside. Raises ProgramEnded."""
    home.mkdir(parents=True, exist_ok=True)
    source = home / "drill.toml"
    source.write_text(SOURCE)
    mlflow_port, figures_port = free(), free()
    tracking = f"http://127.0.0.1:{mlflow_port}"
    tell("starting MLflow")
    mlflow = processes.start("mlflow", mlflow_command(Folders(home), mlflow_port), MLFLOW_ENVIRONMENT)
    mlflow.wait_until_answers(f"{tracking}/health")
    tell("training a model")
    train = [sys.executable, "-m", "service.lifecycle.train", "--source", str(source)]
    run_quietly(processes, "train", [*train, "--models", str(home / "store"), "--tracking", tracking])
    tell("starting the service")
    (home / "audience").write_text(AUDIENCE)
    bucket, issuer = RevocableBucket(home / "predictions"), Issuer()
    pods = Pods(pod(processes, home, bucket, issuer))
    pods.start()
    asked = urllib.request.Request(f"http://127.0.0.1:{pods.backends()[0]}/v1/model", headers={HEADER: issuer.sign()})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        schema = LeadSchema.model_validate_json(json.dumps(json.load(answer)["lead_schema"]))
    front, monitoring, outside = (
        FaultyProxy(pods.backends, issuer.sign),
        CloudMonitoring(),
        HeartbeatReceiver(pagerduty, runbooks),
    )
    (home / "heartbeat-address").write_text(outside.address)
    emulator = {"LEADSCORING_MONITORING_EMULATOR": f"127.0.0.1:{monitoring.port}"}
    traffic = Traffic(front.port, schema)
    expected = [policy.display_name for policy in monitoring.policies]
    commands = jobs.commands(source, home, tracking, f"http://127.0.0.1:{front.port}", expected)
    scheduled = Jobs(processes, commands, emulator)
    (home / "leads/batch").mkdir(parents=True, exist_ok=True)
    traffic.start()
    outside.start()
    return LocalPlatform(
        home,
        processes,
        pods,
        figures_port,
        front,
        traffic,
        scheduled,
        monitoring,
        outside,
        bucket,
        issuer,
        essential=(mlflow,),
    )


def run_quietly(processes: Processes, name: str, command: list[str]) -> None:
    """Run a program to its end, its output in its log. Raises ProgramEnded when it fails."""
    processes.start(name, command, {}).wait()


def first_jobs(stage: LocalPlatform) -> None:
    """Start the schedule; return when every job has ended well once. Raises ProgramEnded."""
    time.sleep(jobs.WINDOW_S / 2)  # there must be leads to look at
    stage.jobs.start()
    deadline = time.monotonic() + FIRST_S
    for name in jobs.CRON:
        file = stage.home / "figures" / f"{name}.prom"
        while not (file.exists() and "last_success" in file.read_text()):
            if time.monotonic() > deadline:
                raise ProgramEnded(
                    f"the job {name} did not end well within {FIRST_S:.0f} s; its log is in {stage.home}"
                )
            time.sleep(0.2)
    if not stage.outside.called.wait(max(deadline - time.monotonic(), 0)):
        raise ProgramEnded(f"the job heartbeat said nothing; its log is in {stage.home}")
