"""Values as they travel between Terraform and a provider, and how to go through them."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgpack
from tf.gen import tfplugin_pb2 as pb

from infra.rehearsal.schema import Attribute, Block, Type

Steps = tuple[str | int, ...]  # ("lifecycle_rule", 0, "action", 0, "type")


class Unknown:
    """A value that is known only after apply."""

    def __repr__(self) -> str:
        return "(known after apply)"


UNKNOWN: Final = Unknown()


def decode(value: pb.DynamicValue) -> Any:
    """Python's None, bool, numbers, str, list and dict; UNKNOWN for what is not known yet."""
    if value.json:
        return json.loads(value.json)
    # Every extension type says unknown: 0 plainly, 12 with what is known of it (prefix, range).
    # https://github.com/zclconf/go-cty/blob/main/docs/marshal.md
    return msgpack.unpackb(value.msgpack, ext_hook=lambda _code, _data: UNKNOWN, strict_map_key=False)


def encode(value: Any) -> pb.DynamicValue:
    """The inverse of `decode`."""
    return pb.DynamicValue(msgpack=msgpack.packb(value, default=lambda _unknown: msgpack.ExtType(0, b"\0")))


def walk(block: Block, value: Any, visit: Callable[[Attribute, Any, Steps], Any], above: Steps = ()) -> Any:
    """`value` of `block` with each attribute replaced by what `visit` returns for it."""
    if not isinstance(value, Mapping):  # an absent or unknown block
        return value
    result = dict(value)
    for name, attribute in block["attributes"].items():
        result[name] = visit(attribute, value.get(name), (*above, name))
    for name, nested in block["block_types"].items():
        inner = value.get(name)
        if isinstance(inner, list):
            result[name] = [
                walk(nested["block"], element, visit, (*above, name, index)) for index, element in enumerate(inner)
            ]
        elif isinstance(inner, Mapping):
            result[name] = walk(nested["block"], inner, visit, (*above, name))
    return result


def settle(type_: Type, value: Any, seed: str) -> Any:
    """`value` with everything unknown in it replaced by a placeholder, the same for the same seed."""
    if value is UNKNOWN:
        return placeholder(type_, seed)
    if isinstance(type_, str) or value is None:
        return value
    match type_[0], value:
        case "list" | "set", list():
            return [settle(type_[1], element, f"{seed}.{index}") for index, element in enumerate(value)]
        case "map", dict():
            return {key: settle(type_[1], element, f"{seed}.{key}") for key, element in value.items()}
        case "object", dict():
            # An example answer names the fields that matter.
            return {key: settle(field, value.get(key, UNKNOWN), f"{seed}.{key}") for key, field in type_[1].items()}
    return value


def placeholder(type_: Type, seed: str) -> Any:
    """A value of this type that nobody takes for the cloud's: text begins with `rehearsed-`."""
    digest = hashlib.sha256(seed.encode()).hexdigest()
    match type_:
        case "string":
            return f"rehearsed-{digest[:12]}"
        case "number":
            return int(digest[:6], 16)
        case "bool":
            return False
        case "dynamic":
            return None
        case ["list" | "set", _]:
            return []
        case ["map", _]:
            return {}
        case ["object", fields]:
            return {name: placeholder(field, f"{seed}.{name}") for name, field in fields.items()}
    raise ValueError(f"not a type: {type_}")
