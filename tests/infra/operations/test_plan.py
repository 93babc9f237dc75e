"""`scripts/plan` as people type it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra import example_values
from infra.environments import ENVIRONMENTS
from infra.operations import plan as command
from infra.rehearsal import report
from infra.synthesize import synthesize
from tests.facts import states
from tests.infra.conftest import PLANTED_KEY, Stacks

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _written_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "PLATFORM", tmp_path / ".platform")


def run(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "infra.operations.plan", *arguments]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)


def test_a_real_plan_of_an_environment_that_pages_refuses_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(example_values.VARIABLE, "allow")
    assert command.main(["prod", "--real"]) == 1
    out, err = capsys.readouterr()
    assert "lead_source of prod: service/examples/sample.toml" in " ".join(err.split())
    assert "What to do:" in err
    assert out == ""
    assert not (tmp_path / ".platform").exists()


@pytest.mark.slow
def test_a_rehearsal_without_a_network_ends_well_shows_its_limits_and_never_sees_the_callers_key(
    tmp_path: Path,
) -> None:
    no_network = ["unshare", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*no_network, "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let us take the network away (unshare --net)")
    script = (
        "from pathlib import Path; import sys; from infra.operations import plan; "
        f"plan.ROOT = Path({str(tmp_path)!r}); plan.PLATFORM = plan.ROOT / '.platform'; sys.exit(plan.main(['prod']))"
    )
    done = subprocess.run(
        [*no_network, sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | {"TF_VAR_pagerduty_key": PLANTED_KEY, "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("Rehearsal of prod with Terraform 1.")
    assert " ".join(report.LIMITS.split()) in " ".join(done.stdout.split())
    assert "Report and plans: .platform/plans/prod/" in done.stdout
    assert re.search(r"^\d{3} rules of the provider's code checked", done.stdout, re.M)
    written = [file.read_text() for file in (tmp_path / ".platform/plans").rglob("*") if file.is_file()]
    assert len(written) == 1 + len(synthesize(ENVIRONMENTS["prod"]))  # the report, and each stack's plan
    assert not any(PLANTED_KEY in text for text in [done.stdout, done.stderr, *written])


def test_a_real_plan_refuses_values_that_only_stand_for_your_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["dev", "--real"]) == 1
    states(" ".join(capsys.readouterr().err.split()), "dev: project = acme-leads-dev", example_values.VARIABLE)


def test_a_rehearsal_ends_where_a_first_deploy_cannot_be_done_in_the_order_of_the_stacks(
    stacks: Stacks, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = sorted(stacks("dev"), key=lambda stack: stack.name == "dev-lifecycle")
    monkeypatch.setattr(command, "synthesize", lambda _: made)
    monkeypatch.setattr(command, "rehearse", lambda *_, **__: pytest.fail("rehearsed"))
    assert command.main(["dev"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    states(said, "dev-serving waits for model", "train the first model waits for job acme-leads-dev-train")


def test_a_failing_real_plan_is_no_rehearsal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith(("GOOGLE_", "CLOUDSDK_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv(example_values.VARIABLE, "allow")
    assert command.main(["dev", "--real"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("Real plan of dev")
    assert "Rehearsal" not in out
    assert "dev-foundation: init failed" in err
    states(err, "gcloud auth application-default login")
    assert not (tmp_path / ".platform" / "plans").exists()


def test_an_unknown_environment_is_wrong_use_and_the_known_ones_are_named() -> None:
    done = run("production")
    assert done.returncode == 2
    assert "'dev', 'staging', 'prod'" in done.stderr


def test_help_has_examples() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "scripts/plan prod --real" in done.stdout


def test_a_bad_value_in_the_environments_is_named_and_no_stack_is_planned(tmp_path: Path) -> None:
    for package in ("infra", "monitoring"):
        shutil.copytree(ROOT / package, tmp_path / package)
    environments = tmp_path / "infra" / "environments.py"
    environments.write_text(environments.read_text().replace("pages=True", 'pages="yes"'))
    done = run("prod", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    states(done.stderr, "infra/environments.py", "pages:", "boolean", "'yes'")


def test_the_script_is_the_command() -> None:
    done = subprocess.run([ROOT / "scripts" / "plan", "nowhere"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage: scripts/plan" in done.stderr


@pytest.mark.slow
def test_a_rehearsal_that_is_interrupted_stops_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "infra.operations.plan", "dev"]
    env = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        line,
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background has them ignore SIGINT, and their children with them.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:
        assert running.stdout is not None
        while "init" not in running.stdout.readline():
            assert running.poll() is None
        assert list(tmp_path.iterdir())
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=30)
    assert (running.returncode, err.count("\n")) == (1, 1)
    states(err, "stopped", "nothing")
    assert list(tmp_path.iterdir()) == []
