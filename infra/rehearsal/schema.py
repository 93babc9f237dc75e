"""What a provider's configuration may hold, in the shape of `terraform providers schema -json`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

Type = str | list[Any]  # "string", ["list", "string"], ["object", {"name": "string"}], "dynamic"
Path = tuple[str, ...]


class Attribute(TypedDict):
    """One argument or exported value."""

    type: Type
    required: NotRequired[bool]
    optional: NotRequired[bool]
    computed: NotRequired[bool]
    sensitive: NotRequired[bool]
    enum: NotRequired[list[str]]  # "Possible values" of the documentation
    default: NotRequired[str]  # "Default value" of the documentation


class NestedBlock(TypedDict):
    """A block within a block."""

    nesting_mode: str  # single, list or set
    min_items: NotRequired[int]
    max_items: NotRequired[int]
    block: "Block"


class Block(TypedDict):
    """A resource, a data source, a provider's configuration, or a block within one."""

    attributes: dict[str, Attribute]
    block_types: dict[str, NestedBlock]


@dataclass(frozen=True, slots=True)
class ProviderSchema:
    """A provider's schema, or as much of it as is needed."""

    address: str  # registry.terraform.io/hashicorp/google
    version: str
    provider: Block
    resources: Mapping[str, Block]
    data_sources: Mapping[str, Block]


def attributes(block: Block, above: Path = ()) -> Iterator[tuple[Path, Attribute]]:
    """Every attribute at any depth with its path."""
    for name, attribute in block["attributes"].items():
        yield (*above, name), attribute
    for name, nested in block["block_types"].items():
        yield from attributes(nested["block"], (*above, name))


def blocks(block: Block, above: Path = ()) -> Iterator[tuple[Path, NestedBlock]]:
    """Every block within `block` at any depth with its path."""
    for name, nested in block["block_types"].items():
        yield (*above, name), nested
        yield from blocks(nested["block"], (*above, name))
