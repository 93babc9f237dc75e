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
from typing import NoReturn

STOP_S = 15.0
"""How long a program may take to end after SIGTERM before it is killed."""
START_S = 600.0
"""Seconds until a program that neither answers nor ends counts as hanging. On a busy machine MLflow's first start takes
two minutes."""
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
"""A closed terminal, Ctrl-C, `kill`."""
GUARDED = """
exec 3<&0 </dev/null
{{ trap '' HUP INT TERM; read -r _; kill -TERM 0; sleep {stop_s:g}; kill -KILL 0; }} <&3 >/dev/null 2>&1 &
exec "$@" 3<&-
"""
"""A shell script that starts a guard in its process group and then becomes the program.

The guard reads from a pipe that this process holds open. When this process ends, even by SIGKILL, the guard stops the
group. PR_SET_PDEATHSIG would not reach grandchildren, and is sent as soon as the thread that started the program ends:
https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html"""


class ProgramEnded(Exception):
    """A program ended, or did not begin to work; the message says which and shows the end of its log."""


class Stopped(KeyboardInterrupt):
    """One of SIGNALS arrived."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number
        """The one that shells give."""


def stop_on_signals() -> None:
    """Raise Stopped in the main thread at the first of SIGNALS; ignore later ones, which would cut the stop short."""

    def stop(number: int, _: object) -> None:
        ignore_signals()
        if number == signal.SIGHUP:  # writing to the closed terminal would raise OSError during the stop
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for stream in (1, 2):
                os.dup2(nowhere, stream)
        raise Stopped(number)

    for each in SIGNALS:
        if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(each, stop)


def ignore_signals() -> None:
    """Ignore SIGNALS from now on."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)


class Program:
    """One running program, with its log file; without one it writes to our own output."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path | None) -> None:
        self.name, self.log = name, log
        with contextlib.ExitStack() as stack:
            if log:
                log.parent.mkdir(parents=True, exist_ok=True)
            output = stack.enter_context(log.open("wb")) if log else None
            # A session of its own: Ctrl-C in the terminal reaches this program through us alone, and its children
            # (MLflow has some) can be stopped with it.
            self._process = subprocess.Popen(
                ["sh", "-c", GUARDED.format(stop_s=STOP_S), "sh", *command],
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT if log else None,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._ended() is None

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
        if (code := self._ended()) is not None and code != well:
            raise ProgramEnded(f"{self.name} ended with exit code {code}{self._last_words()}")

    def wait(self) -> None:
        """Return when it has ended with exit code 0. Raises ProgramEnded at any other."""
        self._process.wait()
        self.check(well=0)

    def _ended(self) -> int | None:
        """Its exit code, if it has ended; its guard then stops what it left behind."""
        if (code := self._process.poll()) is not None:
            self._let_go()
        return code

    def _let_go(self) -> None:
        assert self._process.stdin  # noqa: S101 - a pipe
        self._process.stdin.close()

    def _last_words(self) -> str:
        if self.log is None:
            return ""
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
        self._let_go()

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
        """Run a program to its end, its output on ours. Raises ProgramEnded when it fails."""
        program = Program(name, command, {}, None)
        try:
            program.wait()
        finally:
            program.terminate()
            program.end(time.monotonic() + STOP_S)

    def watch(self, shown: Program | None = None) -> NoReturn:
        """Return never, showing what one program says; raises ProgramEnded as soon as one of them ends."""
        with contextlib.ExitStack() as stack:
            said = stack.enter_context(shown.log.open(errors="replace")) if shown and shown.log else None
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
