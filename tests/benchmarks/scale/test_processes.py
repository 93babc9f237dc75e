import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.scale.processes import JobEnded, Measured, run


def test_threads_children_memory_and_files_are_seen(tmp_path: Path) -> None:
    busy = "import sys, time\nwhile time.process_time() < .5: pass\n"
    program = (
        f"import subprocess, sys, tempfile, time\nheld = b'x' * 300_000_000\n{busy}"
        f"subprocess.run([sys.executable, '-c', {busy!r}])\n"
        "with tempfile.NamedTemporaryFile() as file:\n"
        "    file.write(b'x' * 5_000_000)\n    file.flush()\n    time.sleep(1)\n"
    )
    # From a process of its own: that of the tests may be large.
    caller = "import json, sys; from tests.benchmarks.scale.processes import run; from pathlib import Path; "
    caller += "print(json.dumps(run('busy', ['-c', sys.argv[1]], Path(sys.argv[2]))))"
    said = subprocess.run([sys.executable, "-c", caller, program, tmp_path], capture_output=True, check=True, text=True)
    found = Measured(*json.loads(said.stdout))
    assert 1.0 <= found.seconds < 10
    assert 300_000_000 <= found.memory < 500_000_000
    assert 5_000_000 <= found.files < 6_000_000


def test_a_job_that_fails_is_named_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(JobEnded, match=r"(?s)evaluate ended with 3.*nothing to evaluate"):
        run("evaluate", ["-c", "import sys; print('nothing to evaluate'); sys.exit(3)"], tmp_path)
