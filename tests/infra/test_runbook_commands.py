"""Each command line in a runbook is parsed by the shell, and then by the very program that it calls."""

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import promql_parser
import pytest

import monitoring
from infra.environments import PROD
from infra.operations.variables import script

RUNBOOKS = sorted((Path(monitoring.__file__).parent / "runbooks").iterdir())
each_runbook = pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda path: path.name)
PROGRAMS = ("gcloud", "kubectl", "curl", "sleep")
# Writes what it is called with, and answers something.
RECORDER = '#!/bin/bash\n{ printf "%s\\0" "${0##*/}" "$@"; echo; } >> "$RECORD"\necho 1\n'
# gcloud's own parser, without what a command does: cli.py of googlecloudsdk/calliope keeps it as __parser.
GCLOUD = """
import json, sys
sys.path[:0] = [f"{sys.argv[1]}/lib", f"{sys.argv[1]}/lib/third_party"]
from googlecloudsdk import gcloud_main
parser = gcloud_main.CreateCLI([])._CLI__parser
for command in json.load(sys.stdin):
    try:
        parser.parse_args(command[1:])
    except SystemExit:
        print(json.dumps(command))
"""
NO_CLUSTER = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "none",
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
    "clusters": [{"name": "none", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "none", "user": {"token": "none"}}],
}
Command = tuple[str, ...]


def blocks(text: str) -> list[str]:
    """What is indented by four spaces after an empty line, and commands within a sentence."""
    indented = re.findall(r"(?:(?<=\n\n)|^)((?:    .+\n)+)", text)
    within = re.findall(r"`((?:gcloud|kubectl) [^`]+)`", text)
    return [re.sub(r"^    ", "", block, flags=re.M) for block in indented] + [" ".join(each.split()) for each in within]


def is_promql(block: str) -> bool:
    return bool(re.match(r"(sum|histogram_quantile|max|count)\b", block))


def called(text: str, folder: Path) -> list[Command]:
    """What the commands of a runbook call, with the variables of `scripts/alerts env prod`. Fails as the shell does."""
    for name in PROGRAMS:
        (folder / name).write_text(RECORDER)
        (folder / name).chmod(0o755)
    commands = "\n".join(block for block in blocks(text) if not is_promql(block))
    values = "\n".join(line for line in script(PROD).splitlines() if line.startswith("export "))
    own = "\n".join(f"{name}=evaluate" for name in re.findall(r"^([A-Z]+)=\.\.\.", commands, re.M))
    commands = re.sub(r"^[A-Z]+=\.\.\..*$", "", commands, flags=re.M)
    done = subprocess.run(
        ["/bin/bash", "-u", "-c", f"{own}\n{values}\n{commands}\nwait"],
        env={"PATH": f"{folder}:/usr/bin:/bin", "RECORD": str(folder / "record")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == "", done.stderr
    lines = (folder / "record").read_text().split("\0\n")
    return [tuple(line.split("\0")) for line in lines if line]


@cache
def everything(folder: Path) -> dict[Command, str]:
    """Every command of every runbook, and of `scripts/alerts env`, with the first that has it."""
    found: dict[Command, str] = {}
    for runbook in RUNBOOKS:
        place = folder / runbook.stem
        place.mkdir()
        found |= {command: runbook.name for command in called(runbook.read_text(), place) if command not in found}
    place = folder / "variables"
    place.mkdir()
    pasted = "".join(f"    {line}\n" for line in script(PROD).splitlines())
    return found | {command: "scripts/alerts env" for command in called(pasted, place) if command not in found}


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[Command, str]:
    return everything(tmp_path_factory.mktemp("runbooks"))


@each_runbook
def test_the_shell_reads_every_command_and_knows_every_variable(runbook: Path, tmp_path: Path) -> None:
    assert called(runbook.read_text(), tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('    gcloud run jobs list "$NAME\n', "unexpected EOF"),
        ('    gcloud run jobs list "$NAMES"\n', "NAMES: unbound variable"),
        ("    kubeclt get pods\n", "command not found"),
    ],
)
def test_a_command_that_the_shell_cannot_read_is_found(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=said):
        called(text, tmp_path)


@each_runbook
def test_promql_in_a_runbook_parses(runbook: Path) -> None:
    for block in filter(is_promql, blocks(runbook.read_text())):
        for line in block.splitlines():
            promql_parser.parse(line)


def refused_by_gcloud(commands: list[Command], home: Path) -> list[Command]:
    found = shutil.which("gcloud")
    if not found:
        pytest.skip("gcloud is not on PATH")
    root = Path(found).resolve().parents[1]
    if not (root / "lib" / "googlecloudsdk").is_dir():
        pytest.skip(f"no Google Cloud SDK in {root}")
    bundled = root / "platform/bundledpythonunix/bin/python3"
    done = subprocess.run(
        [str(bundled if bundled.exists() else "/usr/bin/python3"), "-c", GCLOUD, str(root)],
        input=json.dumps(commands),
        env={"CLOUDSDK_CONFIG": str(home), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_gcloud_takes_every_command(commands: dict[Command, str], tmp_path: Path) -> None:
    mine = [command for command in commands if command[0] == "gcloud"]
    assert len(mine) > 30
    wrong = ("gcloud", "compute", "backend-services", "get-helth", "x", "--global")
    unknown = ("gcloud", "storage", "ls", "--all-versionz", "gs://a/b")
    refused = refused_by_gcloud([*mine, wrong, unknown], tmp_path)
    assert refused == [wrong, unknown], [f"{commands.get(each)}: {' '.join(each)}" for each in refused]


def said_by_kubectl(command: Command, home: Path) -> str:
    """What the real one says where no cluster answers: a command that it cannot read it refuses before it asks."""
    (home / "kubeconfig").write_text(json.dumps(NO_CLUSTER))
    done = subprocess.run(
        ["kubectl", *command[1:], "--request-timeout=1s"],
        env={"KUBECONFIG": str(home / "kubeconfig"), "HOME": str(home), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return "" if done.returncode == 0 or "127.0.0.1:1" in done.stderr else done.stderr


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not on PATH")
def test_kubectl_takes_every_command(commands: dict[Command, str], tmp_path: Path) -> None:
    mine = [command for command in commands if command[0] == "kubectl"]
    assert len(mine) > 20
    assert {" ".join(command): said for command in mine if (said := said_by_kubectl(command, tmp_path))} == {}
    assert "unknown flag" in said_by_kubectl(("kubectl", "get", "pods", "--sort", "x"), tmp_path)
    assert "unknown command" in said_by_kubectl(("kubectl", "rolout", "undo"), tmp_path)
