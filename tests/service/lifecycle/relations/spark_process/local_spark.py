"""Batches of the double of Dataproc that run for real: on this machine's Spark, in a process of its own."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from google.cloud.dataproc_v1 import Batch

from tests.benchmarks import peers
from tests.benchmarks.peers import ProgramMissing

DRIVER = Path(__file__).with_name("spark_driver.py")

QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Java compiles with little effort: a test ends before more of it pays."""


class LocalSpark:
    """Runs a batch's program with its arguments. Raises RuntimeError where that fails, with what the program says.

    Its storage is a folder: this Spark has no connector for buckets.
    """

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process, self._log = process, log
        self._one = threading.Lock()

    def __call__(self, batch: Batch) -> None:
        """Run the batch."""
        assert self._process.stdin
        assert self._process.stdout
        program = batch.pyspark_batch
        with self._one:
            self._process.stdin.write(json.dumps([program.main_python_file_uri, *program.args]) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"Spark ended: {self._log.read_text(errors='replace')[-2000:]}")
        if failure := json.loads(answer):
            raise RuntimeError(failure)

    def processor_s(self) -> float:
        """Seconds that Spark has computed."""
        return peers.processor_s(self._process.pid)


@contextlib.contextmanager
def started(folder: Path, small: bool) -> Iterator[LocalSpark]:
    """Spark with two threads, until the block ends; `small` for tables of a few thousand rows.

    Raises ProgramMissing where there is no Java, or no PySpark.
    """
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise ProgramMissing("Spark needs Java, and there is none; on Debian: apt-get install default-jre-headless")
    python = peers.installed("spark") / "python"
    log = folder / "spark.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [python, "-W", "ignore", DRIVER, *(["small"] if small else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=folder,  # where Spark makes folders of its own
            start_new_session=True,
            env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "JAVA_TOOL_OPTIONS": QUICK if small else ""},
        ) as process,
    ):
        try:
            yield LocalSpark(process, log)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # Java is in it too; nothing of it is kept
