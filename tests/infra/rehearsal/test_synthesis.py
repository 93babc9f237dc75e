import json
from graphlib import CycleError
from pathlib import Path

import pytest

from infra.rehearsal.synthesis import read, types
from tests.infra.conftest import Stacks, stack


def synthesized(folder: Path, needs: dict[str, list[str]]) -> Path:
    """A cdktf output folder of empty stacks that need each other as told."""
    manifest = {}
    for name, dependencies in needs.items():
        path = Path("stacks") / name / "cdk.tf.json"
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text("{}")
        manifest[name] = {"dependencies": dependencies, "synthesizedStackPath": str(path)}
    (folder / "manifest.json").write_text(json.dumps({"stacks": manifest}))
    return folder


def test_a_stack_comes_after_all_that_it_needs(tmp_path: Path) -> None:
    folder = synthesized(
        tmp_path, {"edge": ["serving"], "serving": ["cluster", "storage"], "cluster": [], "storage": []}
    )
    order = [stack.name for stack in read(folder)]
    assert order.index("edge") > order.index("serving") > max(order.index("cluster"), order.index("storage"))


def test_stacks_that_need_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CycleError):
        read(synthesized(tmp_path, {"a": ["b"], "b": ["a"]}))


def test_types_and_providers_in_use_are_known(stacks: Stacks) -> None:
    assert "google_storage_bucket" in types(stacks("dev"), "resource")
    assert "terraform_remote_state" in types(stacks("dev"), "data")
    assert stacks("dev")[0].providers == {"registry.terraform.io/hashicorp/google": "6.50.0"}
    assert stack().providers == {"registry.terraform.io/hashicorp/google": "6.50.0"}
