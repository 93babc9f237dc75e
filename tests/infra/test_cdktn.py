"""The way out of cdktf: the same stacks, built and rehearsed with CDK Terrain and the providers of today."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.environments import ENVIRONMENTS
from infra.rehearsal.synthesis import Stack, read
from tests.infra.conftest import Plans, Stacks

pytestmark = pytest.mark.system  # cdktn has an environment of its own: scripts/env cdktn
ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-cdktn" / "bin" / "python"
REHEARSE = """
import sys
from pathlib import Path
from infra.operations import plan
plan.ROOT = plan.PLATFORM = Path(sys.argv[1])
sys.exit(plan.main([sys.argv[2]]))
"""

# What the same stacks say otherwise, and why. Nothing else may differ.
OTHER_WORDS: dict[str, str] = {
    "terraform.required_providers.google.source": "cdktn writes the namespace that Terraform adds to a bare name",
    "terraform.required_providers.google.version": "cdktn 0.24.0 is published with google 8.7.0, two majors on",
    "terraform.required_providers.kubernetes.source": "as for google",
    "terraform.required_providers.kubernetes.version": "bindings of kubernetes 3.4.0, one major on",
    "//.metadata.version": "the version of the CDK",
}
# What the newer providers plan otherwise for the same words, by type and argument, and why.
OTHER_PLANS: dict[str, str] = {
    "google_container_cluster.monitoring_config.enable_components": "the same components, a set now and so unordered",
}


def cdktn(*arguments: str, **environ: str) -> None:
    env = {**os.environ, "LEADSCORING_CDK": "cdktn", "PYTHONPATH": str(ROOT), **environ}
    done = subprocess.run([PYTHON, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def differences(old: Any, new: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Every place where two values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {
            where: values
            for key in old.keys() | new.keys()
            for where, values in differences(old.get(key), new.get(key), f"{path}.{key}".lstrip(".")).items()
        }
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return {w: v for i, (one, other) in pairs for w, v in differences(one, other, f"{path}.{i}").items()}
    return {} if old == new else {path: (old, new)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cdktn")


def test_the_stacks_are_equal_but_for_what_is_explained(stacks: Stacks, folder: Path) -> None:
    cdktn("-m", "infra.main", CDKTF_OUTDIR=str(folder / "out"), LEADSCORING_PLACEHOLDERS="allow")
    built = {stack.name: stack for stack in read(folder / "out")}
    found: dict[str, tuple[Any, Any]] = {}
    for env in ENVIRONMENTS:
        for old in stacks(env):
            new: Stack = built.pop(old.name)
            assert set(new.needs) == set(old.needs)
            found |= differences(old.config, new.config)
    assert built == {}
    assert found.keys() == OTHER_WORDS.keys(), found


@pytest.mark.nightly
def test_the_newer_providers_take_every_stack_and_plan_the_same(plans: Plans, folder: Path) -> None:
    cdktn("-c", REHEARSE, str(folder), "dev")
    found: dict[str, tuple[Any, Any]] = {}
    for name, old in plans("dev").items():
        new = json.loads((folder / "plans" / "dev" / f"dev-{name}.json").read_text())
        before, after = ({r["address"]: r for r in plan["resource_changes"]} for plan in (old, new))
        assert before.keys() == after.keys()  # the address is what a state knows a resource by
        for address, resource in before.items():
            # Arguments that only the newer provider has, or only the older, and none of our stacks sets.
            both = resource["change"]["after"].keys() & after[address]["change"]["after"].keys()
            one, other = ({a: r["change"]["after"][a] for a in both} for r in (resource, after[address]))
            found |= {
                re.sub(r"\.\d+", "", f"{resource['type']}.{where}"): values
                for where, values in differences(one, other).items()
                if any(value not in (None, [], {}) for value in values)
            }
    assert found.keys() == OTHER_PLANS.keys(), found
