"""The files of another commit, in a folder of their own: what a change is compared with."""

import subprocess
from pathlib import Path

LONGEST = 120  # seconds for a call of git


class RefError(Exception):
    """There is no such commit, or what is asked of it cannot be made."""


def unpack(ref: str, folder: Path, root: Path, *paths: str) -> None:
    """Write the files of a commit of the repository at `root`, those below `paths` alone if given. Raises RefError."""
    commit = _git(root, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}").decode().strip()
    archive = _git(root, "archive", "--format=tar", commit, *paths)
    folder.mkdir(parents=True, exist_ok=True)
    # Not tarfile: before 3.11.4 Python cannot refuse what leaves the folder, and Debian's is older.
    subprocess.run(["tar", "-x"], cwd=folder, input=archive, check=True)


def _git(root: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False, timeout=LONGEST)
    except subprocess.TimeoutExpired as error:
        raise RefError(f"git {arguments[0]}: did not end within {LONGEST} s") from error
    if done.returncode != 0:
        raise RefError(f"git {arguments[0]}: {done.stderr.decode().strip()}")
    return done.stdout
