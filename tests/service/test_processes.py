import os
import socket
import sys
import time
from pathlib import Path

import pytest

from service import processes
from service.processes import Processes, ProgramEnded, free, port_problem

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
# A program with a child of its own; both ignore SIGTERM.
STUBBORN = [
    sys.executable,
    "-c",
    "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); child = os.fork();"
    "child and print(child, flush=True); time.sleep(60)",
]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return state != "Z"


def until(true: object, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_everything_started_is_stopped_and_nothing_else(tmp_path: Path) -> None:
    outside = os.fork()
    if outside == 0:
        time.sleep(60)
        os._exit(0)
    with Processes(tmp_path) as started:
        first, second = started.start("a", SLEEP, {}), started.start("b", SLEEP, {})
        until(lambda: (tmp_path / "b.log").read_text() == "up\n")
    for program in (first, second):
        with pytest.raises(ProgramEnded):
            program.check()
    assert alive(outside)
    os.kill(outside, 9)
    os.waitpid(outside, 0)


def test_what_does_not_end_by_itself_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STOP_S", 0.3)
    with Processes(tmp_path) as started:
        started.start("stubborn", STUBBORN, {})
        until(lambda: (tmp_path / "stubborn.log").read_text().endswith("\n"))
        child = int((tmp_path / "stubborn.log").read_text())
        assert alive(child)
    until(lambda: not alive(child))


def test_a_program_that_ends_by_itself_is_named_with_its_last_words(tmp_path: Path) -> None:
    with Processes(tmp_path) as started:
        started.start("brief", [sys.executable, "-c", "print('out of luck'); raise SystemExit(3)"], {})
        with pytest.raises(ProgramEnded, match=r"(?s)brief ended with exit code 3.*brief\.log.*out of luck"):
            started.watch()


def test_waiting_for_an_address_ends_when_the_program_does(tmp_path: Path) -> None:
    with Processes(tmp_path) as started:
        program = started.start("brief", [sys.executable, "-c", "raise SystemExit(3)"], {})
        with pytest.raises(ProgramEnded, match="exit code 3"):
            program.wait_until_answers(f"http://127.0.0.1:{free()}/")


def test_a_program_run_to_its_end_must_succeed(tmp_path: Path) -> None:
    with Processes(tmp_path) as started:
        started.run("good", [sys.executable, "-c", ""])
        with pytest.raises(ProgramEnded, match="bad failed with exit code 4"):
            started.run("bad", [sys.executable, "-c", "raise SystemExit(4)"])


def test_a_taken_port_and_an_impossible_one_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert port_problem(taken.getsockname()[1]) == "is taken by another program"
    assert port_problem(99_999) == "is no port number"
    assert port_problem(free()) is None
