"""The way out of cdktf: the same stacks, built and rehearsed with CDK Terrain and the providers of today."""

import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.environments import ENVIRONMENTS
from infra.rehearsal import schema_cache
from infra.rehearsal.isolation import environment, local
from infra.rehearsal.parallel import abreast
from infra.rehearsal.schema import ProviderSchema
from infra.rehearsal.server import serve
from infra.rehearsal.synthesis import Stack, read, types
from infra.rehearsal.terraform import Terraform
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
# What the newer providers change in place in what the older ones have made, by type and argument, and why.
CHANGED: dict[str, str] = {
    "google_billing_budget.budget_filter.credit_types": "no longer computed: the empty list of 6.50 is not set in 8.7, "
    "which the provider's SDK takes for the same and the stand-in does not",
    "google_billing_budget.budget_filter.subaccounts": "as credit_types",
}
# Writes the schemas of the newer providers where the tests' own environment reads them.
SCHEMAS = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from infra.rehearsal import schema_cache
schemas = [asdict(schema_cache.load(f"registry.terraform.io/hashicorp/{name}")) for name in ("google", "kubernetes")]
Path(sys.argv[1]).write_text(json.dumps(schemas))
"""
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


def test_the_stacks_are_equal_but_for_what_is_explained(stacks: Stacks, built: dict[str, Stack]) -> None:
    found: dict[str, tuple[Any, Any]] = {}
    left = dict(built)
    for env in ENVIRONMENTS:
        for old in stacks(env):
            new = left.pop(old.name)
            assert set(new.needs) == set(old.needs)
            found |= differences(old.config, new.config)
    assert left == {}
    assert found.keys() == OTHER_WORDS.keys(), found


@pytest.fixture(scope="module")
def built(folder: Path) -> dict[str, Stack]:
    """The stacks of all environments as cdktn builds them."""
    cdktn("-m", "infra.main", CDKTF_OUTDIR=str(folder / "out"), LEADSCORING_PLACEHOLDERS="allow")
    return {stack.name: stack for stack in read(folder / "out")}


def test_what_cdktf_has_deployed_is_planned_under_cdktn_without_a_replacement(
    stacks: Stacks, built: dict[str, Stack], folder: Path, engine: Terraform, tmp_path: Path
) -> None:
    """The newer stand-ins have their own schemas, and of replacement what is known of google 6.50.0."""
    old, new = stacks("dev"), tuple(built[stack.name] for stack in stacks("dev"))
    older = sorted({address for stack in old for address in stack.providers})
    with standing_in(map(schema_cache.load, older), old, tmp_path) as env:
        abreast(old, lambda stack: terraform(stack, engine, tmp_path, env, ("apply", "-auto-approve")))
    cdktn("-c", SCHEMAS, str(folder / "schemas.json"))
    newer = [ProviderSchema(**schema) for schema in json.loads((folder / "schemas.json").read_text())]
    with standing_in(newer, new, tmp_path) as env:
        abreast(new, lambda stack: terraform(stack, engine, tmp_path, env, ("plan", "-out=plan")))
        shown = [engine.run("show", "-json", "plan", folder=tmp_path / stack.name, env=env)[1] for stack in new]
    changes = [r for plan in map(json.loads, shown) for r in plan["resource_changes"] if r["mode"] == "managed"]
    assert len(changes) == sum(len(r) for stack in old for r in stack.config["resource"].values())
    assert [r["address"] for r in changes if {"create", "delete", "forget"} & {*r["change"]["actions"]}] == []
    found: dict[str, tuple[Any, Any]] = {}
    for resource in changes:
        if resource["change"]["actions"] == ["update"]:
            before, after = resource["change"]["before"], resource["change"]["after"]
            for where, values in (differences(before, after) or {"(unknown)": (None, None)}).items():
                found[re.sub(r"\.\d+", "", f"{resource['type']}.{where}")] = values
    assert found.keys() == CHANGED.keys(), found


@contextmanager
def standing_in(schemas: Iterable[ProviderSchema], stacks: Sequence[Stack], folder: Path) -> Iterator[dict[str, str]]:
    """What Terraform gets to see while these providers are running."""
    resources, data = types(stacks, "resource"), types(stacks, "data")
    variables = {name: f"made-up-{name}" for stack in stacks for name in stack.config.get("variable", {})}
    with serve(schema_cache.select(schema, resources, data) for schema in schemas) as reattach:
        yield environment(folder, reattach, variables)


def terraform(stack: Stack, engine: Terraform, folder: Path, env: dict[str, str], command: Sequence[str]) -> None:
    """Run a command on a stack, whose state lies in `folder` whoever has built it."""
    place, config = folder / stack.name, local(stack.config, folder / "states")
    place.mkdir(exist_ok=True)
    Path(config["terraform"]["backend"]["local"]["path"]).parent.mkdir(parents=True, exist_ok=True)
    (place / "cdk.tf.json").write_text(json.dumps(config))
    engine.run("init", "-no-color", "-reconfigure", folder=place, env=env)
    engine.run(*command, "-no-color", folder=place, env=env)


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
