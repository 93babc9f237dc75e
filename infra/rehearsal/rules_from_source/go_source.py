"""Reads values out of Go source: literals, constants, and functions that only return a literal.

`evaluate` turns an expression into Python values: a literal with keys into a dict, one without into a list. A call
that cannot be read (a function of another module, a closure) becomes a `Call`, an unknown name a `Name`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import tree_sitter_go
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_go.language()))
# https://pkg.go.dev/math#pkg-constants
_MATH = {"math.MaxInt32": 2**31 - 1, "math.MaxInt64": 2**63 - 1, "math.MaxUint32": 2**32 - 1}
_LITERALS: Mapping[str, Any] = {"true": True, "false": False, "nil": None}
_RETURNS_SCHEMA = re.compile(r"\*schema\.(Schema|Resource)$")


@dataclass(frozen=True, slots=True)
class Name:
    """A name without a definition that can be read."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is not followed; a function literal has no arguments."""

    name: str  # as written: validation.IntBetween; "func" for a function literal
    arguments: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an expression stands: its package's folder, and the local names with their values."""

    folder: Path
    names: dict[str, Any] = field(default_factory=dict)


class GoSource:
    """A checkout of the provider."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._file = cache(self._parse)
        self._definition = cache(self._find)

    def package(self, name: str) -> Path | None:
        """The folder of a package of the provider."""
        folders = (self.root / "google" / "services" / name, self.root / "google" / name)
        return next((folder for folder in folders if folder.is_dir()), None)

    def definition(self, folder: Path, name: str) -> tuple[Path, Node] | None:
        """The file and the node of a package's function, variable or constant."""
        return self._definition(folder, name)

    def resolve(self, scope: Scope, name: str) -> tuple[Path, Node] | None:
        """The definition of a name as it is written in a scope: `f`, or `package.f`."""
        package, dot, member = name.rpartition(".")
        folder = self.package(package) if dot else scope.folder
        return self.definition(folder, member) if folder else None

    def evaluate(self, node: Node, scope: Scope) -> Any:
        """The value of an expression."""
        text = source_of(node)
        match node.type:
            case "interpreted_string_literal":
                return re.sub(r"\\(.)", r"\1", text[1:-1])
            case "raw_string_literal":
                return text[1:-1]
            case "int_literal" | "float_literal":
                return float(text) if node.type.startswith("float") else int(text, 0)
            case "true" | "false" | "nil":
                return _LITERALS[text]
            case "unary_expression":
                value = self.evaluate(node.named_children[0], scope)
                return -value if text.startswith("-") else value
            case "parenthesized_expression" | "literal_element":
                return self.evaluate(node.named_children[0], scope)
            case "composite_literal":
                return self.evaluate(_field(node, "body"), scope)
            case "literal_value":
                return self._literal(node, scope)
            case "identifier" | "selector_expression" | "field_identifier":
                return self._named(text, scope)
            case "call_expression":
                return self._called(node, scope)
            case "func_literal":
                return Call("func")
        return Name(text)

    def _literal(self, node: Node, scope: Scope) -> Any:
        elements = [child for child in node.named_children if child.type != "comment"]
        if elements and elements[0].type == "keyed_element":
            pairs = (element.named_children for element in elements)
            return {self._key(key, scope): self.evaluate(value, scope) for key, value in pairs}
        return [self.evaluate(element, scope) for element in elements]

    def _key(self, node: Node, scope: Scope) -> Any:
        inner = node.named_children[0] if node.type == "literal_element" else node
        return source_of(inner) if inner.type == "identifier" else self.evaluate(inner, scope)

    def _named(self, name: str, scope: Scope) -> Any:
        if name in scope.names:
            return scope.names[name]
        if name in _MATH:
            return _MATH[name]
        found = self.resolve(scope, name)
        if found is None or found[1].type not in {"var_spec", "const_spec"}:
            return Name(name)
        values = _field(found[1], "value").named_children
        return self.evaluate(values[0], Scope(found[0].parent))

    def _called(self, node: Node, scope: Scope) -> Any:
        name = source_of(_field(node, "function"))
        arguments = [
            self.evaluate(argument, scope)
            for argument in _field(node, "arguments").named_children
            if argument.type != "comment"
        ]
        if name == "append":
            return [*arguments[0], *arguments[1:]] if isinstance(arguments[0], list) else Call(name, arguments)
        if name.rpartition(".")[2] == "MergeSchemas":
            return {**arguments[0], **arguments[1]}
        if name == "schema.SchemaDiffSuppressFunc":
            return Call(name)
        found = self.resolve(scope, name)
        if found is None or found[1].type != "function_declaration" or not _returns_schema(found[1]):
            return Call(name, arguments)
        file, function = found
        given = dict(zip(_parameters(function), arguments, strict=False))
        return self._returned(function, Scope(file.parent, given))

    def _returned(self, function: Node, scope: Scope) -> Any:
        """What a function returns: it may set names, and entries of what they hold, before."""
        for statement in _statements(function):
            match statement.type:
                case "short_var_declaration" | "assignment_statement":
                    left, right = (_field(statement, side).named_children for side in ("left", "right"))
                    for target, value in zip(left, right, strict=False):
                        self._assign(target, self.evaluate(value, scope), scope)
                case "return_statement":
                    return self.evaluate(statement.named_children[0].named_children[0], scope)
        return Name(source_of(_field(function, "name")))

    def _assign(self, target: Node, value: Any, scope: Scope) -> None:
        if target.type == "identifier":
            scope.names[source_of(target)] = value
        elif target.type == "index_expression":  # result.Schema["project"] = ...
            holder, *members = source_of(_field(target, "operand")).split(".")
            entries = scope.names.get(holder, {})
            for member in members:
                entries = entries[member]
            entries[self.evaluate(_field(target, "index"), scope)] = value

    def _parse(self, file: Path) -> Node:
        return _PARSER.parse(file.read_bytes()).root_node

    def _find(self, folder: Path, name: str) -> tuple[Path, Node] | None:
        pattern = re.compile(rf"^(func {name}\(|(var|const)? *{name}\b|\t{name}(, | +[\w\[\]*.]+)* *=)", re.MULTILINE)
        for file in sorted(folder.glob("*.go")):
            if not file.name.endswith("_test.go") and pattern.search(file.read_text()):
                for node in _definitions(self._file(file)):
                    if source_of(_field(node, "name")) == name:
                        return file, node
        return None


def expression(text: str) -> Node:
    """The node of an expression that stands alone."""
    root = _PARSER.parse(f"package p\nvar x = {text}\n".encode()).root_node
    (node,) = (each for each in walk(root) if each.type == "var_spec")
    return _field(node, "value").named_children[0]


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it."""
    yield node
    for child in node.named_children:
        yield from walk(child)


def _definitions(root: Node) -> Iterator[Node]:
    for node in root.named_children:
        if node.type == "function_declaration":
            yield node
        elif node.type in {"var_declaration", "const_declaration"}:
            specs = (each for each in walk(node) if each.type in {"var_spec", "const_spec"})
            yield from (spec for spec in specs if spec.child_by_field_name("value"))


def _statements(function: Node) -> Iterator[Node]:
    for node in _field(function, "body").named_children:
        yield from node.named_children if node.type == "statement_list" else [node]


def _returns_schema(function: Node) -> bool:
    result = function.child_by_field_name("result")
    return result is not None and bool(_RETURNS_SCHEMA.search(source_of(result)))


def _parameters(function: Node) -> Iterator[str]:
    for declaration in _field(function, "parameters").named_children:
        yield from (source_of(name) for name in declaration.children_by_field_name("name"))


def _field(node: Node, name: str) -> Node:
    child = node.child_by_field_name(name)
    if child is None:
        raise ValueError(f"{node.type} without {name}: {source_of(node)[:80]}")
    return child


def source_of(node: Node) -> str:
    """A node as it is written."""
    return (node.text or b"").decode()
