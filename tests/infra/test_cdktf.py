"""cdktf's own command line as a person runs it: real Terraform, states in a storage server, stand-ins for Google."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.environments import ENVIRONMENTS
from infra.rehearsal import schema_cache
from infra.rehearsal.isolation import environment
from infra.rehearsal.server import serve
from infra.rehearsal.synthesis import types
from tests.conftest import HANG_S, storage_server
from tests.facts import states
from tests.infra.conftest import Stacks

pytestmark = pytest.mark.system  # cdktf comes by npm: scripts/env cdktf
ROOT = Path(__file__).parents[2]
BUCKET = ENVIRONMENTS["dev"].state_bucket
TESTED = ("--skip-synth", "--skip-provider-lock")  # the stacks are there; no registry to lock providers from

Cdktf = Callable[..., tuple[int, str]]


@pytest.fixture
def own_gcs() -> Iterator[str]:
    """The address of a storage server of its own: other tests make the bucket of states themselves."""
    with storage_server() as address:
        yield address


@pytest.fixture
def cdktf(own_gcs: str, stacks: Stacks, tmp_path: Path) -> Iterator[Cdktf]:
    """`scripts/cdktf dev`: its exit status and what it says, without colours."""
    request = urllib.request.Request(
        f"{own_gcs}/storage/v1/b?project=p", json.dumps({"name": BUCKET}).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=HANG_S).close()
    made = stacks("dev")
    resources, data = types(made, "resource"), types(made, "data")
    providers = {address for stack in made for address in stack.providers} & schema_cache.BINDINGS.keys()
    wanted = [schema_cache.select(schema_cache.load(each), resources, data) for each in sorted(providers)]
    variables = {name: f"made-up-{name}" for stack in made for name in stack.config.get("variable", {})}
    with serve(wanted) as reattach:
        env = environment(tmp_path, reattach, variables) | {
            "GOOGLE_OAUTH_ACCESS_TOKEN": "not-a-token",
            "GOOGLE_BACKEND_STORAGE_CUSTOM_ENDPOINT": f"{own_gcs}/storage/v1/",
            "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(Path.home() / ".cache/aws/jsii/package-cache"),
            "LEADSCORING_PLACEHOLDERS": "allow",  # this cloud takes digests of no image
            "CI": "true",  # or it draws over its own output
        }

        def run(*arguments: str) -> tuple[int, str]:
            done = subprocess.run(
                [ROOT / "scripts/cdktf", "dev", *arguments, "--output", str(tmp_path / "out")],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=HANG_S,
                check=False,
            )
            return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)

        yield run


def resources(gcs: str, stack: str) -> int:
    """How many resources a stack's state holds."""
    address = f"{gcs}/storage/v1/b/{BUCKET}/o/{stack}%2Fdefault.tfstate?alt=media"
    with urllib.request.urlopen(address, timeout=HANG_S) as answer:
        return len([r for r in json.load(answer)["resources"] if r["mode"] == "managed"])


def test_the_command_line_lists_synthesizes_deploys_all_stacks_and_says_why_it_destroys_none(
    cdktf: Cdktf, stacks: Stacks, own_gcs: str, tmp_path: Path
) -> None:
    names = {stack.name for stack in stacks("dev")}

    status, said = cdktf("list")
    assert (status, set(re.findall(r"^(\w+-\w+) ", said, re.M))) == (0, names)  # of one environment

    status, said = cdktf("synth")
    assert status == 0, said
    assert {folder.name for folder in (tmp_path / "out/stacks").iterdir()} == names

    status, said = cdktf("diff", "dev-foundation", *TESTED)
    assert status == 0, said
    states(said, f"Plan: {managed(stacks, 'dev-foundation')} to add, 0 to change, 0 to destroy")

    status, said = cdktf("deploy", "dev-*", "--auto-approve", *TESTED)
    assert status == 0, said
    assert {name: resources(own_gcs, name) for name in names} == {name: managed(stacks, name) for name in names}

    status, said = cdktf("diff", "dev-foundation", *TESTED)
    assert status == 0, said
    states(said, "No changes")

    status, said = cdktf("destroy", "dev-storage", "--ignore-missing-stack-dependencies", "--auto-approve", *TESTED)
    assert status == 1
    states(said, "Instance cannot be destroyed", "google_storage_bucket.models", "lifecycle.prevent_destroy")
    assert resources(own_gcs, "dev-storage") == managed(stacks, "dev-storage")


def managed(stacks: Stacks, name: str) -> int:
    """How many resources a stack declares."""
    config = next(stack.config for stack in stacks("dev") if stack.name == name)
    return sum(len(of_type) for of_type in config["resource"].values())
