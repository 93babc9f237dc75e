"""`scripts/plan ENV --against REF` as people type it, in a repository whose storage has moved away."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.facts import states

ROOT = Path(__file__).parents[3]
BUCKETS = ("models", "leads", "predictions", "artifacts", "access_logs")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this one with a commit, and buckets in another place that are not committed."""
    copy = tmp_path_factory.mktemp("repository")
    for package in ("infra", "monitoring", "service"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / ".gitignore").write_text(".platform\n")
    (copy / ".platform").mkdir()
    (copy / ".platform" / "schemas").symlink_to(ROOT / ".platform" / "schemas")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-qm", "m"],
    ):
        subprocess.run(["git", *command], cwd=copy, check=True)
    storage = copy / "infra" / "stacks" / "storage.py"
    assert "location=env.region" in storage.read_text()
    storage.write_text(storage.read_text().replace("location=env.region", 'location="US"'))
    return copy


def run(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "infra.operations.plan", "dev", *arguments]
    return subprocess.run(line, cwd=repository, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_change_that_would_replace_buckets_is_refused_and_each_is_named(repository: Path) -> None:
    done = run(repository, "--against", "HEAD", "--sheet")
    assert done.returncode == 1, done.stdout
    for name in BUCKETS:
        bucket = f"dev-storage/google_storage_bucket.{name}"
        states(done.stderr.splitlines(), "REFUSED", bucket, "replaced", "location")
    assert "--allow 'STACK/ADDRESS=REASON'" in done.stderr
    sheet = (repository / ".platform" / "plans" / "dev-change" / "sheet.md").read_text()
    assert "- dev-storage: replace `google_storage_bucket.leads`" in sheet


@pytest.mark.slow
def test_overrides_with_a_name_and_a_reason_let_it_pass_and_are_shown(repository: Path) -> None:
    allow = [f"--allow=dev-storage/google_storage_bucket.{name}=no data in DEV yet" for name in BUCKETS]
    done = run(repository, "--against", "HEAD", *allow)
    assert done.returncode == 0, done.stderr
    states(done.stderr.splitlines(), "allowed", "no data in DEV yet", "dev-storage/google_storage_bucket.leads")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--real", "--against", "main"], "--real plans what is deployed"),
        (["--inventory", "--against", "main"], "--inventory is of everything"),
        (["--allow", "leads=because"], "STACK/ADDRESS=REASON"),
    ],
)
def test_what_does_not_go_together_is_wrong_use(repository: Path, arguments: list[str], message: str) -> None:
    done = run(repository, *arguments)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.slow
def test_a_commit_that_is_not_there_is_an_error(repository: Path) -> None:
    done = run(repository, "--against", "no-such-branch")
    assert done.returncode == 1
    assert "git rev-parse: " in done.stderr
