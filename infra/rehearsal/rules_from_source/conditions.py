"""Reads from the provider's source which arguments replace a resource on a condition, and what holds the condition."""

from pathlib import Path
from typing import Any

from tree_sitter import Node

from infra.rehearsal.rules_from_source.go_source import Call, GoSource, Name, Scope, source_of, walk


class UnreadableError(Exception):
    """The source does not hold a type, or holds it in a form that is not understood."""


def conditions(source: GoSource, folder: Path, registered: str) -> set[tuple[str, str]]:
    """Arguments that replace on a condition, each with the name of the Go function that holds it."""
    made = source.resolve(Scope(source.root), registered.partition("(")[0])
    if made is None:
        raise UnreadableError(f"{registered} is not defined")
    elements = [node for node in walk(made[1]) if node.type == "keyed_element"]
    custom = [node for node in elements if source_of(node.named_children[0]) == "CustomizeDiff"]
    found = set()
    for node in (inner for element in custom for inner in walk(element.named_children[1])):
        if node.type == "call_expression" and "customdiff.ForceNewIf" in _function(node):
            path, condition = _arguments(node)
            found.add((plain(source.evaluate(path, Scope(folder))), _condition(condition)))
        elif node.type == "identifier":
            name = source_of(node)
            found |= {(path, name) for path in _forced(source, folder, name, frozenset())}
    return found


def _condition(node: Node) -> str:
    """The name of a function; of a function literal, the name of the function of this package that it calls."""
    if node.type != "func_literal":
        return source_of(node).rpartition(".")[2]
    calls = [_function(call) for call in walk(node) if call.type == "call_expression"]
    return next(name for name in calls if "." not in name)


def _forced(source: GoSource, folder: Path, function: str, seen: frozenset[str]) -> set[str]:
    """The paths that a function, or one that it calls, replaces for: `d.ForceNew("a.0.b")`."""
    found = source.definition(folder, function) if function not in seen else None
    if found is None or found[1].type != "function_declaration":
        return set()
    paths = set()
    for call in (node for node in walk(found[1]) if node.type == "call_expression"):
        if _function(call).endswith(".ForceNew"):
            paths.add(plain(source.evaluate(_arguments(call)[0], Scope(folder))))
        elif "." not in _function(call):
            paths |= _forced(source, folder, _function(call), seen | {function})
    return paths


def _function(call: Node) -> str:
    return source_of(call.named_children[0])


def _arguments(call: Node) -> list[Node]:
    return [node for node in call.named_children[1].named_children if node.type != "comment"]


def plain(path: Any) -> str:
    """A path of the source without positions: settings.0.disk_size -> settings.disk_size."""
    if isinstance(path, Name | Call):
        raise UnreadableError(f"{path} stands for a path")
    return str(path).replace(".0.", ".").removesuffix(".#")
