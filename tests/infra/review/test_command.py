"""`scripts/plan ENV --against REF` as people type it, in a repository whose storage has moved away."""

import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from infra.operations.plan import judge
from infra.review.guard import Finding
from tests.facts import states

ROOT = Path(__file__).parents[3]
BUCKETS = ("models", "leads", "predictions", "artifacts")


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
    logs = "dev-storage/google_storage_bucket.access_logs"
    done = run(repository, "--against", "HEAD", "--sheet", f"--allow={logs}=no data in DEV yet")
    assert done.returncode == 1, done.stdout
    for name in BUCKETS:
        bucket = f"dev-storage/google_storage_bucket.{name}"
        states(done.stderr.splitlines(), "REFUSED", bucket, "replaced", "location")
    states(done.stderr.splitlines(), "allowed", "no data in DEV yet", logs)
    assert "--allow 'STACK/ADDRESS=REASON'" in done.stderr
    sheet = (repository / ".platform" / "plans" / "dev-change" / "sheet.md").read_text()
    assert "- dev-storage: replace `google_storage_bucket.leads`" in sheet


FOUND = [Finding("dev-storage/bucket.a", "would be destroyed"), Finding("dev-storage/bucket.b", "would be replaced")]


@pytest.mark.parametrize(
    ("allowed", "status", "facts"),
    [
        ({}, 1, [["REFUSED", "bucket.a"], ["REFUSED", "bucket.b"]]),
        ({"dev-storage/bucket.a": "empty"}, 1, [["allowed", "empty", "bucket.a"], ["REFUSED", "bucket.b"]]),
        (
            {"dev-storage/bucket.a": "empty", "dev-storage/bucket.b": "copied"},
            0,
            [["allowed", "empty", "bucket.a"], ["allowed", "copied", "bucket.b"]],
        ),
        ({"dev-storage/bucket.c": "a slip"}, 1, [["--allow", "bucket.c"]]),
    ],
)
def test_only_what_every_finding_has_a_reason_for_passes(
    allowed: dict[str, str], status: int, facts: list[list[str]]
) -> None:
    said = io.StringIO()
    assert judge(Console(file=said), FOUND, allowed) == status
    for each in facts:
        states(said.getvalue().splitlines(), *each)


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
