import subprocess
from pathlib import Path

import pytest

from infra.review.base import stacks_at
from monitoring.review.commit import RefError

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_the_stacks_of_a_commit_come_in_the_order_of_deployment() -> None:
    stacks = stacks_at("HEAD", "dev")
    names = [stack.name for stack in stacks]
    assert names[0] == "dev-foundation"
    for stack in stacks:
        assert all(names.index(needed) < names.index(stack.name) for needed in stack.needs)


@pytest.mark.slow
def test_an_environment_that_the_commit_does_not_have_has_no_stacks_there() -> None:
    assert stacks_at("HEAD", "nowhere") == ()


@pytest.mark.parametrize("ref", ["no-such-branch", "--help"])
def test_a_commit_that_is_not_there_is_said_to_be_missing(ref: str) -> None:
    with pytest.raises(RefError, match="git rev-parse: "):
        stacks_at(ref, "dev")


def test_a_commit_whose_stacks_do_not_synthesize_says_why(tmp_path: Path) -> None:
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "environments.py").write_text("raise RuntimeError('half-written')")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-qm", "m"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    with pytest.raises(RefError, match="half-written"):
        stacks_at("HEAD", "dev", tmp_path)
