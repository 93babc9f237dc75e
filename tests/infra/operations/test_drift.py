"""Drift against a real state backend, with stacks that need no provider from anywhere."""

from pathlib import Path
from typing import Any

import pytest

from infra.operations.drift import StackDrift, drift, markdown
from infra.rehearsal.synthesis import Stack, readable
from infra.rehearsal.terraform import Terraform
from tests.infra.conftest import Stacks


@pytest.fixture
def environ(tmp_path: Path, gcs: str) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "TF_INPUT": "0",
        "HOME": str(tmp_path),
        "GOOGLE_OAUTH_ACCESS_TOKEN": "not-a-token",
        "GOOGLE_BACKEND_STORAGE_CUSTOM_ENDPOINT": f"{gcs}/storage/v1/",
    }


def stack(name: str, **config: Any) -> Stack:
    backend = {"gcs": {"bucket": "leads-test", "prefix": f"drift-{name}"}}
    return Stack(name, {"terraform": {"backend": backend}, **config})


def noted(name: str, note: str) -> Stack:
    return stack(name, resource={"terraform_data": {"note": {"input": note}}})


def test_drift_is_found_stack_by_stack_and_shows_no_value(
    engine: Terraform, environ: dict[str, str], tmp_path: Path
) -> None:
    same, other = noted("same", "a"), noted("other", "a")
    list(drift([same, other], engine, tmp_path / "d", environ))
    for each in (same, other):
        arguments = ("-auto-approve", "-lock=false")
        engine.run("apply", *arguments, folder=tmp_path / "d" / each.name, env=environ)
    broken = stack("broken", resource={"terraform_data": {"note": {"inputt": "a"}}})
    found = list(drift([broken, same, noted("other", "hidden")], engine, tmp_path / "d", environ))
    assert [each.found for each in found] == [True, False, True]
    assert 'named "inputt"' in found[0].error
    assert found[2].changes == ("terraform_data.note will be updated in-place",)
    text = markdown(found, ["alerting"])
    assert "hidden" not in text
    assert "**broken** cannot be planned" in text
    assert "- same: as it is configured" in text
    assert "- other: **drifted**" in text
    assert "- alerting: not looked at" in text


def test_a_changed_output_alone_is_drift(engine: Terraform, environ: dict[str, str], tmp_path: Path) -> None:
    outputs = stack("outputs", output={"o": {"value": "a"}})
    assert list(drift([outputs], engine, tmp_path / "d", environ)) == [StackDrift("outputs", changes=("an output",))]


def test_the_stacks_whose_state_the_planner_may_not_read_are_left_out(stacks: Stacks) -> None:
    assert {s.name for s in stacks("prod")} - {s.name for s in readable(stacks("prod"))} == {"prod-alerting"}
    assert readable(stacks("dev")) == stacks("dev")
