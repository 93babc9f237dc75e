"""MLflow's spark_udf as one of the forms of `scripts/bench batch`: a process of its own that scores when asked."""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from service.model.schema import LeadSchema
from tests.benchmarks import peers
from tests.benchmarks.peers import ProgramMissing

FORMS = {"MLflow spark_udf": "as it is", "MLflow spark_udf, spread": "spread"}
"""pandas writes a million rows as one row group, which one of Spark's cores reads and scores alone; spread, it deals
them out to all its cores first."""
JOB_S = 600
"""The most that a job may take, the start of Spark included."""


class Spark:
    """Spark with the model loaded. `out` holds the scores of the last job, by lead_id."""

    def __init__(self, process: subprocess.Popen[str], out: Path, log: Path) -> None:
        self.out, self._process, self._log = out, process, log

    def job(self, form: str) -> tuple[int, float]:
        """Score the file; return its rows and the seconds. Raises SparkFailed."""
        assert self._process.stdin
        assert self._process.stdout
        with contextlib.suppress(BrokenPipeError):  # its end is seen below
            self._process.stdin.write(f"{FORMS[form]}\n")
            self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], JOB_S)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            end = "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
            raise SparkFailed(f"Spark ended, or did not answer within {JOB_S} s; the end of its log:\n{end}")
        answer = json.loads(line)
        return answer["rows"], answer["seconds"]

    def processor_s(self) -> float:
        """Seconds that Java and Python's workers have computed."""
        return peers.processor_s(self._process.pid)


class SparkFailed(Exception):
    """Spark ended or hung; the message shows the end of its log."""


@contextlib.contextmanager
def started(model: Path, leads: Path, folder: Path, schema: LeadSchema, threads: int) -> Iterator[Spark]:
    """Spark with so many threads, until the block ends. Raises ProgramMissing where there is no Java, or no PySpark."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise ProgramMissing("it needs Java, and there is none; on Debian: apt-get install default-jre-headless")
    python = peers.installed("spark") / "python"
    out, log = folder / "spark-scores", folder / "spark.log"
    kinds = json.dumps({feature.name: feature.kind for feature in schema.features})
    command = [python, "-W", "ignore", peers.APPS / "spark.py", model, leads, out, kinds, str(threads)]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=folder,  # where Spark makes folders of its own
            start_new_session=True,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "SPARK_LOCAL_IP": "127.0.0.1"},
        ) as process,
    ):
        try:
            yield Spark(process, out, log)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # Java is in it too; nothing of it is kept
