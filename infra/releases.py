"""Which container image each environment runs: the digests in releases.toml."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from infra.environment import Environment

FILE = Path(__file__).with_name("releases.toml")
IMAGES = ("scoring", "jobs", "mlflow-server")
PLACEHOLDER = f"sha256:{'0' * 64}"  # the digest of nothing: no image has it

Name = Literal["scoring", "jobs", "mlflow-server"]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Releases = Mapping[str, Mapping[Name, Digest]]  # by environment


def load(file: Path = FILE) -> Releases:
    """All digests. Raises pydantic.ValidationError, naming environment and image of a wrong one."""
    return TypeAdapter(Releases).validate_python(tomllib.loads(file.read_text()))


def image(env: Environment, name: Name, releases: Releases | None = None) -> str:
    """`<registry>/<name>@<digest>`; where nothing has been released, with the placeholder for a digest."""
    found = load() if releases is None else releases
    return f"{env.images}/{name}@{found.get(env.id, {}).get(name, PLACEHOLDER)}"


def digests(env: Environment) -> list[str]:
    """What has been released to `env`."""
    return list(load().get(env.id, {}).values())


def notice(configs: Iterable[Mapping[str, object]]) -> str:
    """A sentence on the images for which a placeholder stands, if there are any."""
    missing = sorted({name for config in configs for name in unreleased(config)})
    return f" Not released yet, a placeholder stands for the digest: {', '.join(missing)}." if missing else ""


def unreleased(config: Mapping[str, object]) -> list[str]:
    """The images that a stack runs and that nobody has released to its environment."""
    text = json.dumps(config)
    return [name for name in IMAGES if f"/{name}@{PLACEHOLDER}" in text]
