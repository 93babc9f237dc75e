"""What keeps a rehearsal apart from the cloud, and the cloud from a rehearsal."""

import copy
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
    """A stack does not say where it keeps its state, or not as it must."""


def local(config: Config, states: Path) -> Config:
    """`config` with its own state, and the states that it reads, in the folder `states`."""
    config = copy.deepcopy(config)
    config["terraform"]["backend"] = {"local": {"path": _file(states, place(config))}}
    for remote in _remotes(config).values():
        remote["config"] = {"path": _file(states, _place(remote["backend"], remote["config"]))}
        remote["backend"] = "local"
    return config


def reads(config: Config) -> frozenset[str]:
    """The places of the states that a stack reads."""
    return frozenset(_place(remote["backend"], remote["config"]) for remote in _remotes(config).values())


def place(config: Config) -> str:
    """Where a stack keeps its state, the same for the stacks that read it. BackendError if it does not say."""
    backend = config.get("terraform", {}).get("backend", {})
    if len(backend) != 1:
        raise BackendError(f"{len(backend)} backends are configured; every stack needs one")
    ((kind, settings),) = backend.items()
    return _place(kind, settings)


# What tells one state from another; where a kind of backend is not named here, all of its settings do.
_KEYS = {"gcs": ("bucket", "prefix"), "local": ("path",), "s3": ("bucket", "key")}


def _place(kind: str, settings: Mapping[str, Any]) -> str:
    return json.dumps({"backend": kind} | {key: settings.get(key, "") for key in _KEYS.get(kind, sorted(settings))})


def _file(states: Path, place: str) -> str:
    settings = json.loads(place)
    name = Path(settings.get("prefix") or settings.get("path") or "state").name.removesuffix(".tfstate")
    return str(states / hashlib.sha256(place.encode()).hexdigest()[:12] / f"{name}.tfstate")


def _remotes(config: Config) -> dict[str, Any]:
    return dict(config.get("data", {}).get("terraform_remote_state", {}))


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
