import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service.local import processes
from service.local.processes import Processes, ProgramEnded, free, port_problem
from tests.facts import states, stating

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
# A program with a child of its own; both ignore SIGTERM.
STUBBORN = [
    sys.executable,
    "-c",
    "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); child = os.fork();"
    "child and print(child, flush=True); time.sleep(600)",
]
# Starts the command that follows its folder, and waits.
PARENT = """
import sys, time
from pathlib import Path
from service.local import processes
processes.STOP_S = 0.3
with processes.Processes(Path(sys.argv[1])) as started:
    print(started.start("child", sys.argv[2:], {}).pid, flush=True)
    time.sleep(600)
"""


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def group(leader: int) -> list[int]:
    """The processes of a process group that have not ended."""
    listed = subprocess.run(["ps", "-eo", "pid=,pgid="], capture_output=True, text=True, check=True).stdout
    pairs = [[int(word) for word in line.split()] for line in listed.splitlines()]
    return [pid for pid, of in pairs if of == leader and alive(pid)]


def until(true: Callable[[], bool]) -> None:
    """The limit ends a hang only."""
    deadline = time.monotonic() + 300
    while not true():
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


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_what_was_started_ends_even_when_its_parent_is_killed(tmp_path: Path, sign: signal.Signals) -> None:
    parent = subprocess.Popen(
        ["env", "--default-signal=HUP", sys.executable, "-c", PARENT, tmp_path, *STUBBORN],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    with parent, parent.stdout:
        program = int(parent.stdout.readline())
        until(lambda: (tmp_path / "child.log").read_text().endswith("\n"))
        child = int((tmp_path / "child.log").read_text())
        assert alive(program)
        assert alive(child)
        parent.send_signal(sign)
    until(lambda: not alive(program) and not alive(child))
    until(lambda: not group(program))


def test_what_a_program_leaves_behind_ends_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_S", 0.3)
    with Processes(tmp_path) as started:
        orphan = started.start("brief", ["sh", "-c", "sleep 600 & echo $!"], {})
        until(lambda: not orphan.running)
        until(lambda: not group(orphan.pid))
        left = int((tmp_path / "brief.log").read_text())
        assert not alive(left)


def test_the_first_signal_stops_and_later_ones_do_not_cut_the_stop_short() -> None:
    script = """
import os, signal, time
from service.local.processes import Stopped, stop_on_signals
stop_on_signals()
try:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(600)
except Stopped as stopped:
    for each in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), each)
    print("stopped with", stopped.exit_code)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout == "stopped with 143\n"


def test_a_program_that_ends_by_itself_is_named_with_its_last_words(tmp_path: Path) -> None:
    with Processes(tmp_path) as started:
        started.start("brief", [sys.executable, "-c", "print('out of luck'); raise SystemExit(3)"], {})
        with pytest.raises(ProgramEnded, match=stating("brief", "exit code 3", "brief.log", "out of luck")):
            started.watch()


def test_waiting_for_an_address_ends_when_the_program_does(tmp_path: Path) -> None:
    with Processes(tmp_path) as started:
        program = started.start("brief", [sys.executable, "-c", "raise SystemExit(3)"], {})
        with pytest.raises(ProgramEnded, match="exit code 3"):
            program.wait_until_answers(f"http://127.0.0.1:{free()}/")


def test_a_program_run_to_its_end_must_succeed(tmp_path: Path) -> None:
    with Processes(tmp_path) as started:
        started.run("good", [sys.executable, "-c", ""])
        with pytest.raises(ProgramEnded, match=stating("bad", "exit code 4")):
            started.run("bad", [sys.executable, "-c", "raise SystemExit(4)"])


def test_a_taken_port_and_an_impossible_one_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        states(port_problem(taken.getsockname()[1]) or "", "taken")
    states(port_problem(99_999) or "", "no port number")
    assert port_problem(free()) is None
