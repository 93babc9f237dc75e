"""Which container image each environment runs: the digests in releases.toml."""

import json
import os
import re
import tempfile
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
    return _valid(file.read_text())


def record(id: str, digests: Mapping[Name, Digest], file: Path = FILE) -> None:
    """Write these digests of the environment `id`; everything else in the file stays, comments too.

    The file is replaced in one step. Raises pydantic.ValidationError for what is no digest, and writes nothing then.
    """
    lines = file.read_text().splitlines()
    if f"[{id}]" not in lines:
        lines += ["", f"[{id}]"]
    for name, digest in digests.items():
        start = lines.index(f"[{id}]") + 1
        end = next((i for i in range(start, len(lines)) if lines[i].startswith("[")), len(lines))
        written = [i for i in range(start, end) if re.match(rf"{name}\s*=", lines[i])]
        if written:
            lines[written[0]] = re.sub(r"""(["']).*?\1""", f'"{digest}"', lines[written[0]], count=1)
        else:
            after = max((i + 1 for i in range(start, end) if lines[i].strip()), default=start)
            lines.insert(after, f'{name} = "{digest}"')
    text = "\n".join(lines) + "\n"
    _valid(text)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.", delete=False) as new:
        new.write(text)
    Path(new.name).chmod(file.stat().st_mode)
    os.replace(new.name, file)


def _valid(text: str) -> Releases:
    return TypeAdapter(Releases).validate_python(tomllib.loads(text))


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
