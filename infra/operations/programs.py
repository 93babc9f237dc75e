"""The programs that a deploy runs beside Terraform: git, docker, gcloud, kubectl.

One place starts them, so that a dry run shows every command and starts none, and none runs without a bound.
"""

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
ROOT = Path(__file__).parents[2]


class Failed(Exception):
    """A deploy cannot go on: what happened, and what to do."""

    def __init__(self, said: str, remedy: str = "") -> None:
        super().__init__(said)
        self.said, self.remedy = said, remedy


class ProgramError(Failed):
    """A program could not be started, took too long, or ended with an error."""

    def __init__(self, command: Sequence[str], said: str) -> None:
        super().__init__(f"{shlex.join(command[:4])} ...: {said}")
        self.output = said


@dataclass(frozen=True, slots=True)
class Programs:
    """Starts programs found on the PATH of `environ`, in the repository's root."""

    environ: Mapping[str, str]
    dry: bool = False

    def run(
        self,
        *command: str,
        seconds: float = 120,
        stdin: str = "",
        assumed: str = "",
        watched: bool = False,
        variables: Mapping[str, str] = {},
    ) -> str:
        """Standard output of a command, which may take `seconds`; of a dry run, which only shows it, `assumed`.

        `variables` are added to its environment. `watched`: what it says goes to the terminal, for it takes minutes.
        Raises ProgramError.
        """
        if self.dry:
            print(" ".join([*(f"{name}={value}" for name, value in variables.items()), shlex.join(command)]))
            return assumed
        pipe = None if watched else subprocess.PIPE
        try:
            # A group of its own: gcloud is a script, and ending that alone would leave its Python at work.
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**self.environ, **variables},
                stdin=subprocess.PIPE,
                stdout=pipe,
                stderr=pipe,
                text=True,
                process_group=0,
            )
        except OSError as error:
            raise ProgramError(command, f"cannot be started: {error.strerror}") from error
        with process:
            try:
                out, err = process.communicate(stdin, timeout=seconds)
            except BaseException as cause:
                os.killpg(process.pid, signal.SIGKILL)
                if isinstance(cause, subprocess.TimeoutExpired):
                    raise ProgramError(command, f"no end within {seconds:g} s") from cause
                raise
        if process.returncode:
            said = "see above" if watched else (err.strip() or out.strip())
            raise ProgramError(command, f"exit status {process.returncode}\n{said}")
        return out or ""

    def say(self, line: str) -> None:
        """Something to know about the commands that a dry run shows next."""
        if self.dry:
            print(f"# {line}")

    def missing(self, names: Sequence[str]) -> list[str]:
        """The programs that are not on PATH."""
        return [name for name in names if shutil.which(name, path=self.environ.get("PATH", os.defpath)) is None]


def wait(ask: Callable[[], T | None], *, seconds: float, every: float) -> T | None:
    """The first answer other than None; None when there was none within `seconds`."""
    deadline = time.monotonic() + seconds
    while (answer := ask()) is None and time.monotonic() + every <= deadline:
        time.sleep(every)
    return answer
