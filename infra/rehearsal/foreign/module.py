"""What a folder of Terraform files declares, and the modules in other folders that it calls."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.rehearsal.schema_cache import BINDINGS

# Terraform brings this provider itself: terraform_data, terraform_remote_state.
BUILT_IN = "terraform.io/builtin/terraform"
_ERROR = 1  # of hcl.DiagnosticSeverity


class CannotRehearse(Exception):
    """A configuration that a rehearsal cannot take: where, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A resource or data source in the files."""

    type: str
    name: str
    line: str  # network.tf:12


@dataclass(frozen=True, slots=True)
class Module:
    """One folder, without the modules that it calls."""

    folder: Path
    resources: tuple[Declared, ...]
    data_sources: tuple[Declared, ...]
    providers: Mapping[str, str]  # by address the version that is asked for, a constraint or nothing
    calls: tuple[Path, ...]


def modules(folder: Path) -> list[Module]:
    """The module in a folder, and all that it calls by paths. Raises CannotRehearse."""
    found: dict[Path, Module] = {}
    waiting = [folder.resolve()]
    while waiting:
        if (place := waiting.pop(0)) not in found:
            found[place] = _module(place)
            waiting += found[place].calls
    return list(found.values())


def _module(folder: Path) -> Module:
    if not any(folder.glob("*.tf")) and not any(folder.glob("*.tf.json")):
        raise CannotRehearse(f"{folder} holds no *.tf or *.tf.json file")
    command = [sys.executable, str(Path(__file__).with_name("parser.py")), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotRehearse(f"{folder}: Terraform's parser failed: {done.stderr.strip()}")
    parsed = json.loads(done.stdout)
    if errors := [d for d in parsed["diagnostics"] if d["Severity"] == _ERROR]:
        said = "\n".join(f"{_line(d['Subject'])}: {d['Summary']}: {d['Detail']}" for d in errors)
        raise CannotRehearse(f"{folder} is no valid Terraform\n{said}")
    declared = parsed["module"]
    resources, data_sources = (list((declared[kind] or {}).values()) for kind in ("ManagedResources", "DataResources"))
    for resource in resources:
        _refuse_commands(resource)
    providers = {resource["Provider"]: "" for resource in (*resources, *data_sources)}
    required = declared["ProviderRequirements"]["RequiredProviders"].values()
    providers |= {provider["Type"]: _version(provider) for provider in required}
    _refuse_others(providers, [*resources, *data_sources], folder)
    return Module(
        folder,
        tuple(_declared(resource) for resource in resources),
        tuple(_declared(source) for source in data_sources),
        {address: version for address, version in providers.items() if address != BUILT_IN},
        tuple(_calls(declared["ModuleCalls"] or {}, folder)),
    )


def _declared(resource: Mapping[str, Any]) -> Declared:
    return Declared(resource["Type"], resource["Name"], _line(resource["DeclRange"]))


def _refuse_others(providers: Mapping[str, str], resources: list[dict[str, Any]], folder: Path) -> None:
    others = {}
    for address in providers.keys() - BINDINGS.keys() - {BUILT_IN}:
        users = [_line(r["DeclRange"]) for r in resources if r["Provider"] == address]
        others[address] = users[0] if users else str(folder)
    if others:
        named = ", ".join(f"{address.removeprefix('registry.terraform.io/')} ({at})" for address, at in others.items())
        taken = ", ".join(address.removeprefix("registry.terraform.io/") for address in BINDINGS)
        raise CannotRehearse(f"there is no stand-in for {named}; a rehearsal takes {taken}")


def _refuse_commands(resource: Mapping[str, Any]) -> None:
    for provisioner in resource["Managed"]["Provisioners"] or ():
        where = _line(provisioner["DeclRange"])
        raise CannotRehearse(
            f"{where}: the provisioner {provisioner['Type']} would run a command; a rehearsal runs none: take it out"
        )


def _calls(calls: Mapping[str, Any], folder: Path) -> Iterator[Path]:
    for name, call in calls.items():
        source = _source(name, call)
        if not source.startswith(("./", "../")):
            raise CannotRehearse(
                f"{_line(call['DeclRange'])}: module {name} comes from {source}; "
                "a rehearsal downloads nothing: give a copy of it by a path (./ or ../)"
            )
        if not (folder / source).is_dir():
            raise CannotRehearse(f"{_line(call['DeclRange'])}: module {name}: there is no folder {source}")
        yield (folder / source).resolve()


def _source(name: str, call: Mapping[str, Any]) -> str:
    """The source as it is written: the parser's JSON has the place of an expression alone, and none in JSON files."""
    file = Path(call["DeclRange"]["Filename"])
    if file.suffix == ".json":
        return str(json.loads(file.read_text())["module"][name]["source"])
    return str(json.loads(_slice(call["SourceExpr"]["SrcRange"])))


def _version(provider: Mapping[str, Any]) -> str:
    """The version constraint as it is written."""
    found = re.search(r'\bversion"?\s*[=:]\s*"([^"]*)"', _slice(provider["DeclRange"]))
    return found.group(1) if found else ""


def _slice(place: Mapping[str, Any]) -> str:
    text = Path(place["Filename"]).read_bytes()
    return text[place["Start"]["Byte"] : place["End"]["Byte"]].decode()


def _line(place: Mapping[str, Any]) -> str:
    return f"{Path(place['Filename']).name}:{place['Start']['Line']}"
