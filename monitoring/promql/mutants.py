"""Alerts as a slip of the hand would leave them. A proof is as good as what it notices."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import promql_parser as promql

from monitoring.alerts import Alert

FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "!=", "!=": "=="}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one alert. Its alert is called `<alert>__<number>`."""

    of: str
    change: str
    alert: Alert


def mutants(alert: Alert) -> tuple[Mutant, ...]:
    """Every mutant, each expression once."""
    changes: dict[tuple[str, timedelta], str] = {}
    for change, expr in _expressions(alert.expr):
        changes.setdefault((expr, alert.hold), change)
    changes.pop((_flat(promql.parse(alert.expr)), alert.hold), None)
    if alert.hold:
        changes[alert.expr, timedelta(0)] = "hold removed"
        changes[alert.expr, 2 * alert.hold] = "hold doubled"
    return tuple(
        Mutant(alert.name, change, replace(alert, name=f"{alert.name}__{number}", expr=expr, hold=hold))
        for number, ((expr, hold), change) in enumerate(changes.items())
    )


def _flat(expr: promql.Expr) -> str:
    return " ".join(expr.prettify().split())


def _expressions(expr: str) -> Iterator[tuple[str, str]]:
    tree = promql.parse(expr)
    nodes: list[promql.Expr] = []
    promql.transform(tree, None, _collect(nodes))
    constants = {i - 1 for i, node in enumerate(nodes) if isinstance(node, promql.Call) and node.func.name == "vector"}
    for index, node in enumerate(nodes):
        if index not in constants:
            for change, text in _changes(node):
                yield f"{change} in {_flat(node)}", _flat(_replaced(tree, index, text))


def _collect(nodes: list[promql.Expr]) -> Callable[[promql.Expr], None]:
    def visit(node: promql.Expr) -> None:
        nodes.append(node)

    return visit


def _replaced(tree: promql.Expr, index: int, text: str) -> promql.Expr:
    left = index

    def visit(_: promql.Expr) -> promql.Expr | None:
        nonlocal left
        left -= 1
        return promql.parse(text) if left == -1 else None

    return promql.transform(tree, None, visit)


def _changes(node: promql.Expr) -> Iterator[tuple[str, str]]:
    """What may become of one node, as text."""
    match node:
        case promql.NumberLiteral() if node.val:
            yield "doubled", f"{node.val * 2:g}"
            yield "halved", f"{node.val / 2:g}"
        case promql.BinaryExpr():
            yield from ((change, f"({text})") for change, text in _of_binary(node))
        case promql.Call() if node.func.name in ("rate", "increase"):
            other = "increase" if node.func.name == "rate" else "rate"
            yield f"{other} for {node.func.name}", f"{other}({_flat(node.args[0])})"
        case promql.AggregateExpr() if node.modifier and node.modifier.labels:
            param = f"{_flat(node.param)}, " if node.param else ""
            yield "by dropped", f"{node.op}({param}{_flat(node.expr)})"
        case promql.VectorSelector():
            yield from _of_selector(node)


def _of_binary(node: promql.BinaryExpr) -> Iterator[tuple[str, str]]:
    left, op, right = f"({_flat(node.lhs)})", str(node.op), f"({_flat(node.rhs)})"
    modifier = node.modifier
    how = " bool" if modifier and modifier.return_bool else ""
    if modifier and modifier.matching:
        how += f" on ({', '.join(modifier.matching.labels)})"
    if op in FLIPPED:
        yield "flipped", f"{left} {FLIPPED[op]}{how} {right}"
    elif op == "/":
        yield "numerator for denominator", f"{right} /{how} {left}"
    elif op in ("and", "unless", "or"):
        yield f"{op} dropped", left
        if op == "and":
            yield "first condition dropped", right


def _of_selector(node: promql.VectorSelector) -> Iterator[tuple[str, str]]:
    signs = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
    matchers = [(m.name, signs[str(m.op).removeprefix("MatchOp.")], m.value) for m in node.matchers.matchers]

    def text(kept: list[tuple[str, str, str]]) -> str:
        inner = ",".join(f'{name}{sign}"{value}"' for name, sign, value in kept)
        return f"{node.name}{{{inner}}}" if inner else str(node.name)

    for index, (name, sign, value) in enumerate(matchers):
        before, after = matchers[:index], matchers[index + 1 :]
        yield f"{name} dropped", text([*before, *after])
        yield f"{name} renamed", text([*before, (f"{name}_", sign, value), *after])
