"""Runs a job as a process of its own and measures it: processor time, peak memory, and the files that it writes."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

LOOKED_S = 0.1
"""Seconds between two looks at the temporary files."""


class Measured(NamedTuple):
    """Of a process and its children: `seconds` of all threads, the largest `memory` and `files`, in bytes.

    `memory` is resident memory; that of a child counts where it is the larger. `files` are temporary ones.
    """

    seconds: float
    memory: int
    files: int


class JobEnded(Exception):
    """A job failed; the message says which and shows the end of what it said."""


def run(name: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Measured:
    """Run `python ARGUMENTS` to its end. Temporary files and its log go to `folder`. Raises JobEnded.

    Linux counts the memory that the parent has when it starts the process: the caller's must be small.
    """
    temporary, log = folder / "tmp", folder / f"{name}.log"
    temporary.mkdir(parents=True, exist_ok=True)
    settings = os.environ | {"TMPDIR": str(temporary)} | dict(environment or {})
    files = 0
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, *arguments], env=settings, stdout=out, stderr=out)
        try:
            while True:
                ended, status, used = os.wait4(process.pid, os.WNOHANG)
                if ended:
                    break
                files = max(files, size(temporary))
                time.sleep(LOOKED_S)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
    if process.returncode:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise JobEnded(f"{name} ended with {process.returncode}; the end of {log}:\n{end}")
    return Measured(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, files)


def size(folder: Path) -> int:
    """Bytes that the files below the folder take."""
    found = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                found += os.stat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return found
