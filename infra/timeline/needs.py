"""What the resources of a stack need and make, read from its synthesized Terraform."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.rehearsal.synthesis import Stack
from infra.timeline.events import DeployEvent

_TABLE = tomllib.loads(Path(__file__).with_name("google.toml").read_text())
APIS: Mapping[str, Sequence[str]] = _TABLE["apis"]
QUOTAS: Mapping[str, Sequence[str]] = _TABLE["quotas"]
_IMAGE = re.compile(r"[\w.-]+-docker\.pkg\.dev/[^\"\s@]+@sha256:[0-9a-f]{64}")
# Accounts that Google makes in a project: https://cloud.google.com/iam/docs/service-agents
_AGENT = re.compile(r"service-\d+@[\w-]+\.iam\.gserviceaccount\.com")
_POOL = re.compile(r"serviceAccount:([\w-]+\.svc\.id\.goog)\[")
_REMOTE = re.compile(r"\$\{data\.terraform_remote_state\.([\w-]+)\.outputs\.([\w-]+)\}")
_LOCAL = re.compile(r"\$\{(\w+)\.([\w-]+)\.\w+\}")


class UnknownTypeError(Exception):
    """A type of which infra/timeline/google.toml does not say which APIs it needs."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A resource or data source in its stack."""

    address: str
    type: str
    body: Any
    text: str  # the body as JSON


def stack_event(stack: Stack, stacks: Sequence[Stack], *, pointer: str) -> DeployEvent:
    """Applying `stack`. `stacks` are all that it reads outputs of; `pointer` is the object that names the model.

    A thing that the stack makes itself counts as a need where the resource that needs it does not depend on the one
    that makes it: Terraform may take them in the other order.
    """
    nodes = list(_nodes(stack))
    project = stack.config["provider"]["google"][0]["project"]
    makes = {node.address: frozenset(_makes(node, project)) for node in nodes}
    before = _dependencies(nodes)
    needs = {f"bucket {stack.config['terraform']['backend']['gcs']['bucket']}": "its state"}
    for remote in stack.config.get("data", {}).get("terraform_remote_state", {}).values():
        needs[f"state of {remote['config']['prefix']}"] = "its outputs"
    for node in nodes:
        ready = frozenset().union(*(makes[address] for address in _ancestors(node.address, before)))
        for thing in _needs(node, stack, stacks, pointer):
            if thing not in ready:
                maker = next((address for address, things in makes.items() if thing in things), None)
                unordered = f", which does not depend on {maker}" if maker and maker != node.address else ""
                if maker != node.address:
                    needs.setdefault(thing, node.address + unordered)
    outputs = {f"output {stack.name}.{name}" for name in stack.config.get("output", {})}
    made = frozenset({f"state of {_state(stack)}", *outputs}).union(*makes.values())
    return DeployEvent(f"apply {stack.name}", needs, made)


def values_from_people(event: DeployEvent) -> tuple[list[str], list[str]]:
    """Of what an event needs: the names of secrets whose value a person adds, and of Terraform's variables."""
    kinds = ("value of secret ", "variable ")
    secrets, variables = ([t.removeprefix(kind) for t in event.needs if t.startswith(kind)] for kind in kinds)
    return secrets, variables


def apis(type_name: str) -> Sequence[str]:
    """The APIs that a type needs. Raises UnknownTypeError."""
    entry = max((each for each in APIS if type_name.startswith(each)), key=len, default=None)
    if entry is None:
        raise UnknownTypeError(f"infra/timeline/google.toml does not say which APIs {type_name} needs")
    return APIS[entry]


def _nodes(stack: Stack) -> Iterator[_Node]:
    for kind, prefix in (("resource", ""), ("data", "data.")):
        for type_name, found in stack.config.get(kind, {}).items():
            for name, body in found.items():
                yield _Node(f"{prefix}{type_name}.{name}", type_name, body, json.dumps(body))


def _dependencies(nodes: Sequence[_Node]) -> dict[str, set[str]]:
    """By address: the addresses that a resource refers to or depends on."""
    known = {node.address for node in nodes}
    words = re.compile(r"(?:data\.)?[a-z]\w*\.[\w-]+")
    return {node.address: {word for word in words.findall(node.text) if word in known} for node in nodes}


def _ancestors(address: str, before: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    rest = [address]
    while rest:
        new = before[rest.pop()] - found
        found |= new
        rest += new
    return found - {address}


def _makes(node: _Node, project: str) -> Iterator[str]:
    body = node.body
    match node.type:
        case _ if node.address.startswith("data."):
            return
        case "google_project_service":
            yield f"API {body['service']}"
        case "google_storage_bucket":
            yield f"bucket {body['name']}"
        case "google_secret_manager_secret":
            yield f"secret {body['secret_id']}"
        case "google_artifact_registry_repository":
            yield f"registry {body['repository_id']}"
        case "google_cloud_run_v2_job":
            yield f"job {body['name']}"
        case "google_sql_database_instance":
            yield f"database {body['name']}"
        case "google_service_networking_connection":
            yield "peering with Google's network"
        case "google_container_cluster":
            yield f"cluster {body['name']}"
            pool = body.get("workload_identity_config", {}).get("workload_pool")
            if pool or body.get("enable_autopilot"):
                # Autopilot always has it, and a project's pool is there with its first such cluster.
                # https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity
                yield f"workload identity pool {pool or f'{project}.svc.id.goog'}"
        case "kubernetes_manifest":
            metadata = body["manifest"]["metadata"]
            yield f"{body['manifest']['kind']} {metadata.get('namespace', '')}/{metadata['name']}"


def _needs(node: _Node, stack: Stack, stacks: Sequence[Stack], pointer: str) -> Iterator[str]:
    yield from (f"API {api}" for api in apis(node.type))
    yield from (f"quota {quota}" for quota in QUOTAS.get(node.type, ()) if not node.address.startswith("data."))
    yield from (f"image {image}" for image in _IMAGE.findall(node.text))
    yield from (f"Google's account {agent}" for agent in _AGENT.findall(node.text))
    yield from (f"workload identity pool {pool}" for pool in _POOL.findall(node.text))
    yield from (f"bucket {bucket}" for bucket in re.findall(r"gs://([\w.-]+)", node.text))
    given = {name for name, variable in stack.config.get("variable", {}).items() if "default" in variable}
    yield from (f"variable {name}" for name in re.findall(r"\$\{var\.(\w+)\}", node.text) if name not in given)
    yield from (f"output {_prefix(stack, remote)}.{output}" for remote, output in _REMOTE.findall(node.text))
    yield from (f"value of secret {secret}" for secret in _secrets(node.body, stack, stacks))
    match node.type:
        case "google_billing_budget":
            yield f"right to make budgets on {node.body['billing_account']}"
        case "google_project_iam_member" if node.body["role"].startswith("projects/"):
            yield f"role {node.body['role'].rpartition('/')[2]} of the project's own"
        case "google_storage_bucket_iam_member" if "$" not in node.body["bucket"]:
            yield f"bucket {node.body['bucket']}"
        case "google_sql_database_instance" if "private_network" in node.text:
            yield "peering with Google's network"
        case "google_container_cluster" if node.address.startswith("data."):
            yield f"cluster {node.body['name']}"
        case "kubernetes_service_v1" if node.address.startswith("data."):
            yield f"endpoint groups of {node.body['metadata']['namespace']}/{node.body['metadata']['name']}"
        case "kubernetes_manifest" if node.body.get("wait", {}).get("rollout"):
            # Such a roll-out ends when pods are ready, and they are once they have loaded a model.
            yield from (f"model {url}/{pointer}" for url in re.findall(r'MODELS_URL", "value": "([^"]+)"', node.text))


def _state(stack: Stack) -> str:
    """The prefix of a stack's state in the bucket of states."""
    return str(stack.config["terraform"]["backend"]["gcs"]["prefix"])


def _prefix(stack: Stack, remote: str) -> str:
    return str(stack.config["data"]["terraform_remote_state"][remote]["config"]["prefix"])


def _secrets(value: Any, stack: Stack, stacks: Sequence[Stack]) -> Iterator[str]:
    """The names of the secrets that containers get a version of."""
    if isinstance(value, dict):
        secret = value.get("secret")
        if isinstance(secret, str) and ("items" in value or "version" in value):
            yield _secret_name(secret, stack, stacks)
        for inner in value.values():
            yield from _secrets(inner, stack, stacks)
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets(inner, stack, stacks)


def _secret_name(reference: str, stack: Stack, stacks: Sequence[Stack]) -> str:
    """The id of the secret that a reference means, in this stack or by an output of another."""
    if remote := _REMOTE.fullmatch(reference):
        prefix = _prefix(stack, remote[1])
        other = next((each for each in stacks if _state(each) == prefix), None)
        output = other.config.get("output", {}).get(remote[2]) if other else None
        return _secret_name(output["value"], other, stacks) if other and output else reference
    if local := _LOCAL.fullmatch(reference):
        return str(stack.config["resource"][local[1]][local[2]]["secret_id"])
    return reference.rpartition("/")[2]
