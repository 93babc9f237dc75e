import subprocess
from pathlib import Path

import pytest

from monitoring.review.commit import RefError, unpack


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    for name in ("kept/file", "other/file"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text("then")
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "m"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    (root / "kept/file").write_text("now")
    return root


def test_the_files_of_a_commit_are_as_they_were_then(repository: Path, tmp_path: Path) -> None:
    unpack("HEAD", tmp_path / "tree", repository)
    assert (tmp_path / "tree/kept/file").read_text() == "then"
    assert (tmp_path / "tree/other/file").exists()


def test_some_paths_may_be_asked_for_alone(repository: Path, tmp_path: Path) -> None:
    unpack("HEAD", tmp_path / "tree", repository, "kept")
    assert [path.name for path in (tmp_path / "tree").iterdir()] == ["kept"]


@pytest.mark.parametrize("ref", ["no-such-branch", "--help"])
def test_what_is_no_commit_is_refused(ref: str, repository: Path, tmp_path: Path) -> None:
    with pytest.raises(RefError, match="git rev-parse: "):
        unpack(ref, tmp_path / "tree", repository)
    assert not (tmp_path / "tree").exists()
