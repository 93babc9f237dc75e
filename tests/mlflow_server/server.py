"""The MLflow server as its image runs it, in processes of its own."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import HANG_S, free_port, wait_for
from tests.mlflow_server.cluster import OWNER, SERVER, Cluster

SOURCE = Path(__file__).parents[2] / "mlflow-server"
PASSWORD = "a pass:w%rd/@"


@dataclass(frozen=True)
class Tracking:
    """The settings of a server and of its migration."""

    cluster: Cluster
    database: str
    port: int
    common: dict[str, str]
    artifacts: str
    log: Path

    @classmethod
    def on(cls, cluster: Cluster, database: str, gcs: str, folder: Path, template: str = "template1") -> "Tracking":
        """On a new database: an empty one, or a copy of another."""
        cluster.create(database, PASSWORD, template)
        password = folder / "password"
        password.write_text(f"{PASSWORD}\n")
        common = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SOURCE),
            "PYTHONWARNINGS": "ignore",
            "STORAGE_EMULATOR_HOST": gcs,
            "TRACKING_DATABASE_HOST": "127.0.0.1",
            "TRACKING_DATABASE_PORT": str(cluster.port),
            "TRACKING_DATABASE_NAME": database,
            "TRACKING_DATABASE_PASSWORD_FILE": str(password),
            "TRACKING_DATABASE_WAIT_SECONDS": "10",
        }
        return cls(cluster, database, free_port(), common, f"gs://leads-test/{database}", folder / "server.log")

    @property
    def url(self) -> str:
        """Where the server answers."""
        return f"http://127.0.0.1:{self.port}"

    def migration(self) -> dict[str, str]:
        """The migration's environment."""
        return self.common | {"TRACKING_DATABASE_USER": OWNER, "TRACKING_SERVER_USER": SERVER}

    def serving(self) -> dict[str, str]:
        """The server's environment."""
        return self.common | {
            "TRACKING_DATABASE_USER": SERVER,
            "TRACKING_ARTIFACTS_URL": self.artifacts,
            "TRACKING_ALLOWED_HOSTS": f"127.0.0.1:{self.port},mlflow-*.a.run.app",
            "TRACKING_PORT": str(self.port),
            "TRACKING_WORKERS": "1",
        }

    def run(self, command: str, **changes: str) -> "subprocess.CompletedProcess[str]":
        """Run to its end what ends by itself."""
        environment = (self.migration() if command == "migrate" else self.serving()) | changes
        return subprocess.run(
            [sys.executable, "-m", "tracking_server", command],
            env={name: value for name, value in environment.items() if value},
            cwd=self.log.parent,
            capture_output=True,
            text=True,
            timeout=HANG_S,
        )

    def migrate(self) -> None:
        """Bring the schema up to date."""
        done = self.run("migrate")
        assert done.returncode == 0, done.stderr

    @contextlib.contextmanager
    def server(self, **changes: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A server that answers, in a group of its own; all of it is gone at the end."""
        with (
            self.log.open("ab") as log,
            subprocess.Popen(
                [sys.executable, "-m", "tracking_server", "serve"],
                env=self.serving() | changes,
                cwd=self.log.parent,
                stdout=log,
                stderr=log,
                start_new_session=True,
            ) as process,
        ):
            try:
                wait_for(f"{self.url}/health", process)
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
