"""Derives a provider's schema from its cdktf bindings, which were generated from that schema.

The wheel holds a jsii archive; each `lib/<type>/index.js` in it carries its TypeScript source in an inline
source map. There, a comment tells each attribute's flags, the body of its getter the type, the
`...ToHclTerraform` functions what is a block, and the documentation the possible and default values.
"""

import base64
import json
import re
import tarfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from infra.rehearsal.schema import Attribute, Block, NestedBlock, ProviderSchema, Type

_MAP = re.compile(r"sourceMappingURL=data:application/json[^,]*,([A-Za-z0-9+/=]+)")
_CLASS = re.compile(r"^export class (\w+) extends cdkt[fn]\.(\w+) \{(.*?)^\}", re.S | re.M)
_INTERFACE = re.compile(r"^export interface (\w+)[^{]*\{(.*?)^\}", re.S | re.M)
_PROPERTY = re.compile(r"/\*\*(.*?)\*/\s*readonly \w+(\??): ([^;]+);", re.S)
_DOCUMENTED_NAME = re.compile(r"Docs at Terraform Registry: \{@link \S+#(\w+)")
_FLAGS = re.compile(
    r"^  // (\w+) - computed: (\w+), optional: (\w+), required: (\w+)\n"
    r"(.*?)(?=^  // \w+ - computed|^  // =====|\Z)",
    re.S | re.M,
)
_HCL_FUNCTION = re.compile(r"^export function (\w+)ToHclTerraform\(.*?^\}", re.S | re.M)
_HCL_ATTRIBUTE = re.compile(
    r"^\s+(\w+): \{\s*value: .*?isBlock: (true|false),\s*type: \"(\w+)\",\s*storageClassType", re.S | re.M
)
_NESTED = re.compile(r"new (\w+?)(OutputReference|List)\(this, \"\w+\"(?:, (true|false))?\)")
_DEFAULT = re.compile(r'Default value: "([^"]*)"')
_ENUM = re.compile(r"Possible values: (\[[^\]]*\])")

# What a getter returns tells the type; the first match counts.
_GETTERS: tuple[tuple[re.Pattern[str], Type], ...] = tuple(
    (re.compile(pattern), type_)
    for pattern, type_ in (
        (r"Fn\.tolist\(this\.getListAttribute", ["set", "string"]),
        (r"asNumberList\(.*?tolist\(this\.getNumberListAttribute", ["set", "number"]),
        (r"getNumberListAttribute", ["list", "number"]),
        (r"getListAttribute", ["list", "string"]),
        (r"getStringMapAttribute|new cdkt[fn]\.StringMap\(", ["map", "string"]),
        (r"getNumberMapAttribute|new cdkt[fn]\.NumberMap\(", ["map", "number"]),
        (r"getBooleanMapAttribute|new cdkt[fn]\.BooleanMap\(", ["map", "bool"]),
        (r"new cdkt[fn]\.StringMapList\(this, \"\w+\", true", ["set", ["map", "string"]]),
        (r"new cdkt[fn]\.StringMapList\(", ["list", ["map", "string"]]),
        (r"getStringAttribute", "string"),
        (r"getNumberAttribute", "number"),
        (r"getBooleanAttribute", "bool"),
        (r"getAnyMapAttribute|interpolationForAttribute", "dynamic"),
    )
)
# The provider class has no getters; its configuration's TypeScript types tell.
_CONFIG_TYPES: tuple[tuple[re.Pattern[str], Type], ...] = tuple(
    (re.compile(pattern), type_)
    for pattern, type_ in (
        (r"string", "string"),
        (r"number", "number"),
        (r"boolean \| cdkt[fn]\.IResolvable", "bool"),
        (r"string\[\]", ["list", "string"]),
        (r"\{ \[key: string\]: string \}", ["map", "string"]),
    )
)


class DeriveError(Exception):
    """The bindings are not as this module knows them."""


def derive(archive: Path) -> ProviderSchema:
    """The schema of the provider whose bindings' jsii archive this is. Takes seconds. Raises DeriveError."""
    resources: dict[str, Block] = {}
    data_sources: dict[str, Block] = {}
    head: tuple[str, str, Block] | None = None
    for module in _modules(archive):
        for name, (kind, body) in module.classes.items():
            if kind == "TerraformProvider":
                source = _one(r"terraformProviderSource: '([^']+)'", body)
                version = _one(r"providerVersion: '([^']+)'", body)
                head = address(source), version, module.configuration(f"{name}Config")
            elif kind in ("TerraformResource", "TerraformDataSource"):
                type_name = _one(r"tfResourceType = \"(\w+)\"", body)
                types = resources if kind == "TerraformResource" else data_sources
                types[type_name] = module.block(name)
    if head is None:
        raise DeriveError(f"{archive}: no class extends TerraformProvider")
    return ProviderSchema(*head, resources, data_sources)


def address(source: str) -> str:
    """`google` or `hashicorp/google` as Terraform writes it: registry.terraform.io/hashicorp/google."""
    parts = source.split("/")
    return "/".join(["registry.terraform.io", "hashicorp"][: 3 - len(parts)] + parts).lower()


def _modules(archive: Path) -> Iterator["_Module"]:
    with tarfile.open(archive) as tar:
        scripts: dict[str, list[tarfile.TarInfo]] = {}  # large modules are split over several files
        for member in tar:
            if re.fullmatch(r"package/lib/[^/]+/.*\.js", member.name):
                scripts.setdefault(PurePosixPath(member.name).parts[2], []).append(member)
        for members in scripts.values():
            yield _Module("\n".join(_typescript(tar, member) for member in members))


def _typescript(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = tar.extractfile(member)
    found = _MAP.search(file.read().decode()) if file else None
    return "\n".join(json.loads(base64.b64decode(found.group(1)))["sourcesContent"]) if found else ""


def _one(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise DeriveError(f"no {pattern} in: {text[:200]}")
    return found.group(1)


class _Module:
    """The TypeScript source of one resource, data source or provider."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.classes = {name: (kind, body) for name, kind, body in _CLASS.findall(source)}

    @cached_property
    def interfaces(self) -> dict[str, str]:
        return dict(_INTERFACE.findall(self.source))

    @cached_property
    def hcl(self) -> dict[str, dict[str, tuple[bool, str]]]:
        """For each struct, in lower case: its arguments, whether each is a block, and of which nesting."""
        return {
            found.group(1).lower(): _hcl_attributes(found.group(0)) for found in _HCL_FUNCTION.finditer(self.source)
        }

    def configuration(self, interface: str) -> Block:
        """The provider's own block."""
        block = Block(attributes={}, block_types={})
        for text, optional, type_ in _PROPERTY.findall(self.interfaces[interface]):
            name = _one(r"#(\w+)", text)
            simple = next((t for pattern, t in _CONFIG_TYPES if pattern.fullmatch(type_.strip())), None)
            if name == "alias":  # Terraform's own
                continue
            if simple is not None:
                attribute = Attribute(type=simple)
                attribute["optional" if optional else "required"] = True
                block["attributes"][name] = attribute
            else:
                nested = self.configuration(_one(r"(\w+)", type_))
                block["block_types"][name] = NestedBlock(nesting_mode="list", max_items=1, block=nested)
        return block

    def block(self, class_name: str, above: tuple[str, ...] = ()) -> Block:
        """The block that a resource's, data source's or struct's class stands for.

        A provider may repeat a block within itself some levels deep, which the bindings tell as one class that
        holds itself: it is derived once.
        """
        body = self.classes[class_name][1]
        struct = class_name.removesuffix("OutputReference")
        if struct == class_name:
            hcl = _hcl_attributes(body[body.find("synthesizeHclAttributes") :])
            documentation = self._documentation(f"{struct}Config")
        else:
            hcl = self.hcl.get(struct.lower(), {})
            documentation = self._documentation(struct)
        block = Block(attributes={}, block_types={})
        for name, computed, optional, required, getter in _FLAGS.findall(body):
            nested = _NESTED.search(getter)
            is_block, nesting = hcl.get(name, (True, "list"))
            if nested and computed == "false" and is_block:
                if f"{nested.group(1)}OutputReference" not in (*above, class_name):
                    block["block_types"][name] = self._nested(nested, nesting, required == "true", (*above, class_name))
                continue
            attribute = Attribute(type=self._type(getter))
            if required == "true":
                attribute["required"] = True
            if optional == "true":
                attribute["optional"] = True
            if computed == "true":
                attribute["computed"] = True
            block["attributes"][name] = _documented(attribute, documentation.get(name, ""))
        return block

    def _nested(self, nested: re.Match[str], nesting: str, required: bool, above: tuple[str, ...]) -> NestedBlock:
        struct, kind, is_set = nested.groups()
        block = self.block(f"{struct}OutputReference", above)
        if nesting == "struct":
            return NestedBlock(nesting_mode="single", block=block)
        mode = "set" if nesting == "set" or is_set == "true" else "list"
        result = NestedBlock(nesting_mode=mode, block=block)
        if kind == "OutputReference":
            result["max_items"] = 1
        if required:
            result["min_items"] = 1
        return result

    def _type(self, getter: str) -> Type:
        nested = _NESTED.search(getter)
        if nested:
            struct, kind, is_set = nested.groups()
            fields = _FLAGS.findall(self.classes[f"{struct}OutputReference"][1])
            element: Type = ["object", {field[0]: self._type(field[4]) for field in fields}]
            return ["set" if kind == "List" and is_set == "true" else "list", element]
        for pattern, type_ in _GETTERS:
            if pattern.search(getter):
                return type_
        raise DeriveError(f"no known getter in: {getter[:200]}")

    def _documentation(self, interface: str) -> dict[str, str]:
        properties = _PROPERTY.findall(self.interfaces.get(interface, ""))
        texts = ((_DOCUMENTED_NAME.search(text), text) for text, _, _ in properties)
        return {name.group(1): text for name, text in texts if name}


def _hcl_attributes(text: str) -> dict[str, tuple[bool, str]]:
    return {name: (block == "true", kind) for name, block, kind in _HCL_ATTRIBUTE.findall(text)}


def _documented(attribute: Attribute, text: str) -> Attribute:
    if attribute["type"] != "string":
        return attribute
    text = re.sub(r"\n\s*\* ?", "\n", text)
    if default := _DEFAULT.search(text):
        attribute["default"] = default.group(1)
    if enum := _ENUM.search(text):
        values: Any = _json(enum.group(1))
        if isinstance(values, list) and values:
            attribute["enum"] = values
    return attribute


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:  # prose in brackets
        return None
