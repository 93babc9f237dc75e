"""What the images copy is what their programs import: seen here at once, and not only when an image is built."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAGES = re.split(r"\nFROM ", (ROOT / "service/Dockerfile").read_text())


def copied(*stages: str) -> set[Path]:
    """The Python files that these stages copy."""
    found: set[Path] = set()
    for stage in STAGES:
        if any(f" AS {name}\n" in stage for name in stages):
            for words in re.findall(r"^COPY (service/.+)$", stage, re.M):
                for source in words.split()[:-1]:
                    found |= {*(ROOT / source).rglob("*.py")} if source.endswith("/") else {*ROOT.glob(source)}
    return found


def imported(file: Path) -> Iterator[Path]:
    """The files of ours that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            path = ROOT / name.replace(".", "/")
            yield from (each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file())


def missing(files: set[Path]) -> set[str]:
    """What the files import and the image lacks."""
    return {str(each.relative_to(ROOT)) for file in files for each in imported(file)} - {
        str(file.relative_to(ROOT)) for file in files
    }


def test_the_scoring_image_holds_all_that_it_imports() -> None:
    files = copied("builder", "scoring-builder")
    assert ROOT / "service/api/__main__.py" in files
    assert missing(files) == set()


def test_the_jobs_image_holds_all_that_its_jobs_import() -> None:
    files = copied("builder", "jobs-builder")
    assert ROOT / "service/lifecycle/train.py" in files
    jobs = {file for file in files if file.name not in ("local.py", "processes.py")}  # scripts/up's own
    assert missing(jobs) == set()


@pytest.mark.parametrize("dockerfile", ["service/Dockerfile", "mlflow-server/Dockerfile"])
def test_the_engine_is_sent_all_that_the_dockerfile_copies(dockerfile: str) -> None:
    lines = (ROOT / f"{dockerfile}.dockerignore").read_text().splitlines()
    sent = [line.removeprefix("!").rstrip("/") for line in lines if line.startswith("!")]
    copies = re.findall(r"^COPY (?!--from)(.+)$", (ROOT / dockerfile).read_text(), re.M)
    needed = {source.rstrip("/") for words in copies for source in words.split()[:-1]}
    assert {source for source in needed if not any(fnmatch(source, each) for each in sent)} == set()
