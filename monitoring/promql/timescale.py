"""The same alerts in a world whose clock runs faster, for a drill that cannot wait an hour for a page.

Every duration is divided by one factor: holds, ranges, subqueries, offsets, and the seconds that a time is compared
with. A counter grows so many times less within a shortened window, so the counts that it is compared with are divided
too: the guards of low traffic among them. Ratios, bytes and durations that something measured (a request's, a job's)
stay as they are. What is which is read from the expression's tree.
"""

from dataclasses import replace
from datetime import timedelta

import promql_parser as promql

from monitoring.alerts import Alert

COMPARISONS = frozenset([">", "<", ">=", "<=", "==", "!="])
SUMS = frozenset(["+", "-"])


def faster(alert: Alert, factor: int) -> Alert:
    """The alert with its durations divided. Raises ValueError where its hold would not be whole seconds."""
    hold = alert.hold / factor
    if hold.microseconds:
        raise ValueError(f"{alert.name}: {alert.hold} divided by {factor} is not whole seconds")
    tree = promql.transform(promql.parse(alert.expr), None, lambda node: _shortened(node, factor))
    return replace(alert, expr=tree.prettify(), hold=hold)


def _shortened(node: promql.Expr, factor: int) -> promql.Expr | None:
    """What stands in a node's place, its children being shortened already; None where it stays."""
    if isinstance(node, promql.VectorSelector) and node.offset is not None:
        selector, offset, _ = node.prettify().rpartition(" offset ")
        return promql.parse(f"{selector}{offset}{_divided(node.offset, factor)}")
    if isinstance(node, promql.MatrixSelector):
        selector, offset, by = node.vector_selector.prettify().partition(" offset ")  # divided already
        return promql.parse(f"{selector}[{_divided(node.range, factor)}]{offset}{by}")
    if isinstance(node, promql.SubqueryExpr):
        within, step = _divided(node.range, factor), _divided(node.step, factor)
        return promql.parse(f"({node.expr.prettify()})[{within}:{step}]")
    if isinstance(node, promql.BinaryExpr) and str(node.op) in COMPARISONS | SUMS:
        return _of_binary(node, factor)
    return None


def _divided(span: timedelta | None, factor: int) -> str:
    return "" if span is None else promql.display_duration(span / factor)


def _of_binary(node: promql.BinaryExpr, factor: int) -> promql.Expr | None:
    for number, other in ((node.rhs, node.lhs), (node.lhs, node.rhs)):
        if not isinstance(number, promql.NumberLiteral):
            continue
        if is_time(other) or (str(node.op) in COMPARISONS and is_count(other)):
            how = " bool" if node.modifier and node.modifier.return_bool else ""
            sides = [
                f"({side.prettify()})" if side is other else f"{number.val / factor:.12g}"
                for side in (node.lhs, node.rhs)
            ]
            return promql.parse(f"({sides[0]} {node.op}{how} {sides[1]})")
    return None


def is_time(node: promql.Expr) -> bool:
    """Whether it is a moment, or a span between two: what time() is a term of."""
    if isinstance(node, promql.Call):
        return bool(node.func.name == "time")
    return any(is_time(term) for term in _terms(node))


def is_count(node: promql.Expr) -> bool:
    """Whether it counts events within a window: what the growth of a counter is a term of."""
    if isinstance(node, promql.Call):
        return bool(node.func.name == "increase")
    return any(is_count(term) for term in _terms(node))


def _terms(node: promql.Expr) -> tuple[promql.Expr, ...]:
    """What a node's value is a sum, difference, choice or extreme of."""
    if isinstance(node, promql.ParenExpr | promql.AggregateExpr):
        return (node.expr,)
    if isinstance(node, promql.BinaryExpr) and str(node.op) in SUMS | {"or"}:
        return (node.lhs, node.rhs)
    return ()
