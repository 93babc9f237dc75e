"""Alerts as a slip of the hand would leave them. A proof is as good as what it notices."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import promql_parser as promql

from monitoring.alerts import Alert
from monitoring.promql import slips
from monitoring.promql.slips import flat


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
    same = _meaning(alert.expr)
    changes = {of: change for of, change in changes.items() if _meaning(of[0]) != same}
    if alert.hold:
        changes[alert.expr, timedelta(0)] = "hold removed"
        changes[alert.expr, 2 * alert.hold] = "hold doubled"
    return tuple(
        Mutant(alert.name, change, replace(alert, name=f"{alert.name}__{number}", expr=expr, hold=hold))
        for number, ((expr, hold), change) in enumerate(changes.items())
    )


def _meaning(expr: str) -> str:
    """An expression in one line; what is compared with none at all is one for rates and growths, sums and largest."""

    def visit(node: promql.Expr) -> promql.Expr | None:
        if (
            isinstance(node, promql.BinaryExpr)
            and str(node.op) in (">", "==")
            and flat(node.rhs) in ("0", "(0)")
            and re.search(r"\b(?:rate|increase)\(", text := flat(node.lhs))
        ):
            alike = re.sub(r"^max\b", "sum", text.replace("rate(", "increase("))
            return promql.parse(f"({alike}) {node.op} 0")
        return None

    return flat(promql.transform(promql.parse(expr), None, visit))


def _expressions(expr: str) -> Iterator[tuple[str, str]]:
    tree = promql.parse(expr)
    nodes: list[promql.Expr] = []
    promql.transform(tree, None, _collect(nodes))
    # A node comes right after its last child.
    constants = {i - 1 for i, node in enumerate(nodes) if isinstance(node, promql.Call) and node.func.name == "vector"}
    ranged = {i - 1 for i, node in enumerate(nodes) if isinstance(node, promql.MatrixSelector)}
    borrowed = _borrowed(nodes)
    for index, node in enumerate(nodes):
        if index in constants or index in borrowed:
            continue
        changes = list(slips.of_node(node))
        if isinstance(node, promql.VectorSelector) and index not in ranged:
            changes.extend(slips.offset(node))
        for change, text in changes:
            yield f"{change} in {flat(node)}", flat(_replaced(tree, index, text))
    for change, factor in (("halved", 0.5), ("doubled", 2.0)):
        yield f"every window {change}", flat(promql.transform(tree, None, _rescaled(factor)))


def _borrowed(nodes: list[promql.Expr]) -> set[int]:
    """Nodes of conditions within a subquery: another alert's, which is changed where it stands for itself."""
    found: set[int] = set()
    for index, node in enumerate(nodes):
        if isinstance(node, promql.SubqueryExpr):
            within: list[promql.Expr] = []
            promql.transform(node.expr, None, _collect(within))
            if any(isinstance(each, promql.BinaryExpr) and str(each.op) == "and" for each in within):
                found.update(range(index - len(within), index))
    return found


def _rescaled(factor: float) -> Callable[[promql.Expr], promql.Expr | None]:
    def visit(node: promql.Expr) -> promql.Expr | None:
        if isinstance(node, promql.MatrixSelector):
            return promql.parse(f"{flat(node.vector_selector)}[{slips.scaled(node.range, factor)}]")
        return None

    return visit


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
