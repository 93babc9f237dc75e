"""Programs of one machine that belong together: started, watched, and stopped as one."""

import contextlib
import errno
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

STOP_S = 15.0
"""How long a program may take to end after SIGTERM before it is killed."""
START_S = 120.0
"""How long a program may take to answer; MLflow makes its tables at the first start."""


class ProgramEnded(Exception):
    """A program ended, or did not begin to work; the message says which and shows the end of its log."""


class Program:
    """One running program, with its log file."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            # A session of its own: Ctrl-C in the terminal reaches this program through us alone, and its children
            # (MLflow has some) can be stopped with it.
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def wait_until_answers(self, url: str) -> None:
        """Return when the address answers 200. Raises ProgramEnded when the program ends or takes too long."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            self.check()
            try:
                urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 - our own address
            except (OSError, urllib.error.HTTPError):
                time.sleep(0.1)
            else:
                return
        raise ProgramEnded(f"{self.name} did not answer at {url} within {START_S:.0f} s{self._last_words()}")

    def check(self, well: int | None = None) -> None:
        """Raise ProgramEnded if it has ended, but for with the exit code `well`."""
        if (code := self._process.poll()) is not None and code != well:
            raise ProgramEnded(f"{self.name} ended with exit code {code}{self._last_words()}")

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        return f"; all of its log: {self.log}\n" + "\n".join(lines)

    def terminate(self) -> None:
        """Ask the program and its children to end."""
        self._signal(signal.SIGTERM)

    def end(self, deadline: float) -> None:
        """Wait until it ended; kill what is left of it after the deadline (time.monotonic())."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, sign: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, sign)


class Processes:
    """A context that stops, on its way out, everything that was started in it and nothing else."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._programs: list[Program] = []

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in self._programs:
            program.terminate()
        deadline = time.monotonic() + STOP_S
        for program in self._programs:
            program.end(deadline)

    def start(self, name: str, command: list[str], environment: dict[str, str]) -> Program:
        """Start a program that runs until it is stopped; its output goes to `<name>.log`."""
        program = Program(name, command, environment, self._logs / f"{name}.log")
        self._programs.append(program)
        return program

    def run(self, name: str, command: list[str]) -> None:
        """Run a program to its end, on this terminal. Raises ProgramEnded when it fails."""
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
            try:
                code = process.wait()
            except KeyboardInterrupt:
                process.terminate()  # in a terminal Ctrl-C has reached it already
                raise
        if code:
            raise ProgramEnded(f"{name} failed with exit code {code}")

    def watch(self, shown: Program | None = None) -> None:
        """Return never, showing what one program says; raises ProgramEnded as soon as one of them ends."""
        with contextlib.ExitStack() as stack:
            said = stack.enter_context(shown.log.open(errors="replace")) if shown else None
            while True:
                for program in self._programs:
                    program.check()
                if said and (text := said.read()):
                    print(text, end="", flush=True)
                time.sleep(0.5)


def port_problem(port: int) -> str | None:
    """Why a port of 127.0.0.1 cannot be listened on, or None."""
    if not 0 < port < 65536:
        return "is no port number"
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        return "is taken by another program" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
    return None


def free() -> int:
    """A port that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
