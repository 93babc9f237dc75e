"""What keeps a rehearsal apart from the cloud, and the cloud from a rehearsal."""

import copy
import os
from collections.abc import Mapping
from pathlib import Path

from infra.rehearsal.server import REATTACH
from infra.rehearsal.synthesis import Config

# No `direct`: a provider without a stand-in is looked for in an empty folder and nowhere else.
_CLI_CONFIG = """\
disable_checkpoint = true
provider_installation {{
  filesystem_mirror {{
    path = "{mirror}"
  }}
}}
"""

_GO_RUNTIME = {"GOMAXPROCS": "1", "GOGC": "400"}
"""Takes a quarter of Terraform's processor time off, for 100 MB a process: https://pkg.go.dev/runtime#hdr-Environment_Variables"""


class BackendError(Exception):
    """A stack keeps its state where a rehearsal cannot follow, or a real plan must not."""


def local(config: Config, states: Path) -> Config:
    """`config` with its own state, and the states that it reads, in the folder `states`."""
    config = copy.deepcopy(config)
    prefix = state_prefix(config)
    config["terraform"]["backend"] = {"local": {"path": _state(states, prefix)}}
    for remote in config.get("data", {}).get("terraform_remote_state", {}).values():
        if remote["backend"] != "gcs":
            raise BackendError(f"{prefix} reads a state from a {remote['backend']} backend, not from gcs")
        remote["backend"], remote["config"] = "local", {"path": _state(states, remote["config"]["prefix"])}
    return config


def reads(config: Config) -> frozenset[str]:
    """Where in the state bucket the states lie that a stack reads."""
    remotes = config.get("data", {}).get("terraform_remote_state", {}).values()
    return frozenset(remote["config"].get("prefix", "") for remote in remotes)


def state_prefix(config: Config) -> str:
    """Where in the state bucket the state lies. BackendError if it lies anywhere else."""
    backend = config.get("terraform", {}).get("backend", {})
    if set(backend) != {"gcs"}:
        raise BackendError(f"the backend is {', '.join(backend) or 'none'}; every stack needs one, gcs")
    return str(backend["gcs"]["prefix"])


def unprotected(config: Config) -> Config:
    """`config` without `prevent_destroy`, so that a rehearsal can take away what it has made."""
    config = copy.deepcopy(config)
    for resources in config.get("resource", {}).values():
        for resource in resources.values():
            resource.get("lifecycle", {}).pop("prevent_destroy", None)
    return config


def environment(folder: Path, reattach: str, variables: Mapping[str, str]) -> dict[str, str]:
    """All that Terraform gets to see: of the caller's environment, with its credentials, only PATH."""
    cli_config = folder / "terraformrc"
    mirror = folder / "no-other-providers"
    mirror.mkdir(exist_ok=True)
    cli_config.write_text(_CLI_CONFIG.format(mirror=mirror))
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "TF_CLI_CONFIG_FILE": str(cli_config),
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        REATTACH: reattach,
        **_GO_RUNTIME,
        **{f"TF_VAR_{name}": value for name, value in variables.items()},
    }


def _state(states: Path, prefix: str) -> str:
    return str(states / f"{prefix}.tfstate")
