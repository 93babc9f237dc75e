"""The schemas of the providers whose bindings are installed, each derived once and kept on disk."""

import gzip
import hashlib
import importlib.util
import json
import os
from collections.abc import Callable, Collection
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

from infra.cdk import PACKAGES
from infra.rehearsal import provider_facts
from infra.rehearsal import schema_from_bindings as derivation
from infra.rehearsal.schema import Block, ProviderSchema, attributes

BINDINGS = {
    "registry.terraform.io/hashicorp/google": PACKAGES["google"],
    "registry.terraform.io/hashicorp/kubernetes": PACKAGES["kubernetes"],
    "registry.terraform.io/pagerduty/pagerduty": PACKAGES["pagerduty"],
}
CACHE = Path(__file__).parents[2] / ".platform" / "schemas"


def load(address: str, *, cache: Path = CACHE, notice: Callable[[str], object] = print) -> ProviderSchema:
    """The whole schema of a provider; KeyError for one whose bindings are not in `BINDINGS`.

    The first time it is derived, which takes seconds and is announced through `notice`.
    """
    package = BINDINGS[address]
    code = hashlib.sha256(Path(derivation.__file__).read_bytes()).hexdigest()[:16]
    file = cache / f"{package}-{version(package)}-{code}.json.gz"
    if file.exists():
        return ProviderSchema(**json.loads(gzip.decompress(file.read_bytes())))
    notice(f"Deriving the schema of {address} from its bindings (once, some seconds)")
    derived = derivation.derive(_archive(package))
    cache.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}")
    partial.write_bytes(gzip.compress(json.dumps(asdict(derived)).encode(), compresslevel=1))
    partial.replace(file)  # at once: another process may be reading
    return derived


def select(schema: ProviderSchema, resources: Collection[str], data_sources: Collection[str]) -> ProviderSchema:
    """These types alone, with what `facts` adds; types that the provider does not have are left out."""
    return replace(
        schema,
        resources={t: _with_facts(t, block) for t, block in schema.resources.items() if t in resources},
        data_sources={t: block for t, block in schema.data_sources.items() if t in data_sources},
    )


def _with_facts(type_name: str, block: Block) -> Block:
    for path, attribute in attributes(block):
        if ".".join(path) in provider_facts.SENSITIVE.get(type_name, ()):
            attribute["sensitive"] = True
    return block


def _archive(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed: run scripts/env dev", name=package)
    return next((Path(spec.origin).parent / "_jsii").glob("*.tgz"))
