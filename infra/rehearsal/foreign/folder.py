"""Somebody's own Terraform as stacks: a synthesized cdktf output, or a folder of *.tf and *.tf.json files."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.rehearsal import synthesis
from infra.rehearsal.foreign.module import CannotRehearse, Module, modules
from infra.rehearsal.isolation import place, reads
from infra.rehearsal.synthesis import Config, Stack

_REMOTE_STATE = "terraform_remote_state"
_OVERRIDE = "rehearsal_override.tf.json"  # https://developer.hashicorp.com/terraform/language/files/override
_LEFT_OUT = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", ".git", "*.tfstate", "*.tfstate.backup")


def read(folder: Path) -> tuple[Stack, ...]:
    """What is in a folder, in the order of deployment. Raises CannotRehearse."""
    if not folder.is_dir():
        raise CannotRehearse(f"{folder} is no folder")
    manifest = _manifest(folder / "manifest.json")
    if manifest is None:
        return (_plain(folder),)
    for name, entry in manifest.items():
        if not entry["synthesizedStackPath"].endswith(".json"):
            raise CannotRehearse(f"{name} is synthesized as HCL: run `cdktf synth` without --hcl")
    stacks = tuple(
        _synthesized(stack, (folder / manifest[stack.name]["synthesizedStackPath"]).parent)
        for stack in synthesis.read(folder)
    )
    _refuse_states_of_others(stacks)
    return stacks


def _manifest(file: Path) -> dict[str, Any] | None:
    """The stacks that cdktf wrote; None where it did not write the file, or there is none."""
    try:
        manifest = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    stacks = manifest.get("stacks") if isinstance(manifest, dict) else None
    return stacks if isinstance(stacks, dict) else None


def _synthesized(stack: Stack, folder: Path) -> Stack:
    """A stack of cdktf's; with the files beside it where it calls modules or has assets."""
    if "backend" not in stack.config.get("terraform", {}):
        raise CannotRehearse(
            f"{stack.name} names no backend (Terraform's `cloud` block is none): give it one, such as GcsBackend"
        )
    found = modules(folder)
    if len(found) == 1 and not (folder / "assets").exists():
        return stack
    config = _summary(found, folder)
    config["terraform"]["backend"] = stack.config["terraform"]["backend"]
    config["data"][_REMOTE_STATE] = stack.config.get("data", {}).get(_REMOTE_STATE, {})
    config["variable"] = stack.config.get("variable", {})
    return Stack(stack.name, config, stack.needs, tuple(module.folder for module in found))


def _plain(folder: Path) -> Stack:
    folder = folder.resolve()
    found = modules(folder)
    for module in found:
        for source in module.data_sources:
            if source.type == _REMOTE_STATE:
                raise CannotRehearse(
                    f"{source.line}: data.{_REMOTE_STATE}.{source.name} reads the state of another configuration, "
                    "which is not part of this rehearsal: give what it reads by a variable "
                    "(the stacks of one cdktf output read each other's states)"
                )
    return Stack(folder.name, _summary(found, folder), files=tuple(module.folder for module in found))


def _refuse_states_of_others(stacks: Sequence[Stack]) -> None:
    written = {place(stack.config) for stack in stacks}
    for stack in stacks:
        for state in reads(stack.config) - written:
            raise CannotRehearse(f"{stack.name} reads a state that no stack in this folder writes: {state}")


def _summary(found: Sequence[Module], folder: Path) -> Config:
    """The shape of a stack's JSON without the arguments, which are in the files.

    A resource is called `<path of its module>:<name>`. `prevent_destroy` says only that it stays as it is in the files.
    """
    folder = folder.resolve()
    config: dict[str, Any] = {
        "terraform": {"backend": {"local": {"path": str(folder)}}, "required_providers": {}},
        "resource": {},
        "data": {},
    }
    for module in found:
        path = os.path.relpath(module.folder, folder)
        for address, version in module.providers.items():
            known = config["terraform"]["required_providers"].get(address, {}).get("version", "")
            both = ", ".join(dict.fromkeys(filter(None, (known, version))))
            config["terraform"]["required_providers"][address] = {"source": address, "version": both}
        for resource in module.resources:
            kept = {"lifecycle": {"prevent_destroy": True}}
            config["resource"].setdefault(resource.type, {})[f"{path}:{resource.name}"] = kept
        for source in module.data_sources:
            if source.type != _REMOTE_STATE:
                config["data"].setdefault(source.type, {})[f"{path}:{source.name}"] = {}
    return config


def copy(stack: Stack, to: Path) -> Path:
    """Copy a stack's folder and those of the modules that it calls; returns the copy of its own."""
    above = Path(os.path.commonpath(stack.files))
    for folder in stack.files:
        shutil.copytree(folder, to / folder.relative_to(above), ignore=_LEFT_OUT, dirs_exist_ok=True)
    return to / stack.files[0].relative_to(above)


def override(config: Config, folder: Path) -> None:
    """Write beside the copied files what `config` says otherwise: backend, states that are read, protections."""
    said: dict[str, Config] = {".": {"terraform": {"backend": config["terraform"]["backend"]}}}
    if remotes := config["data"].get(_REMOTE_STATE):
        said["."]["data"] = {_REMOTE_STATE: remotes}
    for type_name, resources in config["resource"].items():
        for called, resource in resources.items():
            path, _, name = called.partition(":")
            if changed := dict(_changed(resource)):
                said.setdefault(path, {}).setdefault("resource", {}).setdefault(type_name, {})[name] = changed
    for path, content in said.items():
        (folder / path / _OVERRIDE).write_text(json.dumps(content))


def _changed(resource: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if not resource["lifecycle"].get("prevent_destroy"):
        yield "lifecycle", {"prevent_destroy": False}
    yield from ((argument, value) for argument, value in resource.items() if argument != "lifecycle")
