"""What an alert's expression compares with what: the lines and limits that people look at.

An expression is split at its outer `and` and `unless` into comparisons. A moment that is compared with now becomes an
age, which can be read: `x > time() - 600` is `time() - x` against 600.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import promql_parser as promql

from monitoring.alerts import Alert

_MIRRORED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
_OPPOSITE = {">": "<=", "<": ">=", ">=": "<", "<=": ">", "==": "!=", "!=": "=="}
_PADDING = re.compile(r'("(?:\\.|[^"\\])*")|(?<=\() | (?=\))')  # spaces inside brackets, not inside strings
_COMPOUND = re.compile(r"\[(\d+)d(\d+)h")


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. The alert fires when all of its conditions hold."""

    measured: str  # PromQL without a comparison around it
    op: str
    threshold: float | None  # None: the limit is an expression
    limit: str  # what it is compared with, as PromQL
    or_missing: bool = False  # it holds too where nothing is measured, or there is no limit


def conditions(alert: Alert) -> tuple[Condition, ...]:
    """All comparisons of an alert, in its order. Raises ValueError for an expression that compares nothing."""
    parts = tuple(_of(promql.parse(alert.expr)))
    if not parts:
        raise ValueError(f"{alert.name}: its expression compares nothing: {alert.expr}")
    return parts


def normal(expr: str) -> str:
    """An expression as `flat` writes it, without brackets around it."""
    return flat(_bare(promql.parse(expr)))


def flat(expr: promql.Expr) -> str:
    """An expression in one line, one way of writing for all that mean the same: 25h, not 1d1h."""
    text = _PADDING.sub(lambda found: found[1] or "", " ".join(expr.prettify().split()))
    return _COMPOUND.sub(lambda found: f"[{24 * int(found[1]) + int(found[2])}h", text)


def _of(node: promql.Expr) -> Iterator[Condition]:
    match node:
        case promql.ParenExpr():
            yield from _of(node.expr)
        case promql.BinaryExpr() if str(node.op) == "and":
            yield from _of(node.lhs)
            yield from _of(node.rhs)
        case promql.BinaryExpr() if str(node.op) == "unless":
            yield from _of(node.lhs)
            yield from map(_not, _denied(node.rhs))
        case promql.BinaryExpr() if str(node.op) in _MIRRORED:
            yield from _chain(node)


def _chain(node: promql.BinaryExpr) -> Iterator[Condition]:
    """A comparison, after those within its left side: what passes `a < b` is compared again in `a < b > c`."""
    left = _bare(node.lhs)
    if isinstance(left, promql.BinaryExpr) and str(left.op) in _MIRRORED:
        yield from _chain(left)
    yield _comparison(_passed(left), str(node.op), _bare(node.rhs))


def _bare(node: promql.Expr) -> promql.Expr:
    """Without brackets around it."""
    return _bare(node.expr) if isinstance(node, promql.ParenExpr) else node


def _passed(node: promql.Expr) -> promql.Expr:
    """What a comparison lets pass: its left side."""
    if isinstance(node, promql.BinaryExpr) and str(node.op) in _MIRRORED:
        return _passed(_bare(node.lhs))
    return node


def _denied(node: promql.Expr) -> Iterator[Condition]:
    """What must not hold. What is not compared must not be there: it is then counted as 0."""
    told = tuple(_of(node))
    yield from told or (Condition(f"{flat(node)} or vector(0)", ">", 0, "0"),)


def _not(condition: Condition) -> Condition:
    return replace(condition, op=_OPPOSITE[condition.op], or_missing=True)


def _comparison(left: promql.Expr, op: str, right: promql.Expr) -> Condition:
    if isinstance(right, promql.BinaryExpr) and str(right.op) == "-" and flat(right.lhs) == "time()":
        # x > time() - limit: its age is below the limit.
        return _compared(f"time() - {flat(left)}", _MIRRORED[op], right.rhs)
    if all("_timestamp_seconds" in flat(side) and "time()" not in flat(side) for side in (left, right)):
        # The later of two moments is the younger. One that never was is the oldest, and has no age to draw.
        limit = f"time() - {flat(_ever(right))}"
        return Condition(f"time() - {flat(left)}", _MIRRORED[op], None, limit, or_missing=_ever(right) is not right)
    return _compared(flat(left), op, right)


def _ever(moment: promql.Expr) -> promql.Expr:
    """Without the `or vector(0)` that stands for never."""
    if isinstance(moment, promql.BinaryExpr) and str(moment.op) == "or" and flat(moment.rhs) == "vector(0)":
        return _bare(moment.lhs)
    return moment


def _compared(measured: str, op: str, limit: promql.Expr) -> Condition:
    number = float(limit.val) if isinstance(limit, promql.NumberLiteral) else None
    return Condition(measured, op, number, flat(limit))
