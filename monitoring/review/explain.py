"""Expressions in words. What has none of its own is shown as it is written."""

import promql_parser as promql

from monitoring.alerts import Severity
from monitoring.promql.conditions import Condition, flat

REACHES = {
    Severity.PAGE: "PagerDuty, with a mail behind it, in an environment that pages; a mail elsewhere",
    Severity.TICKET: "a mail to the ticket address, again each day until it is closed; its owner in PagerDuty, if any",
}
_COMPARED = {
    ">": "is above",
    "<": "is below",
    ">=": "is at least",
    "<=": "is at most",
    "==": "is",
    "!=": "is not",
}
_AGGREGATES = {
    "sum": "the sum of",
    "max": "the largest of",
    "min": "the smallest of",
    "avg": "the mean of",
    "count": "how many there are of",
}
_CALLS = {
    "increase": "the growth in {span} of {of}",
    "delta": "the change in {span} of {of}",
    "rate": "the growth a second, over {span}, of {of}",
    "last_over_time": "the newest value in {span} of {of}",
    "max_over_time": "the largest value in {span} of {of}",
    "avg_over_time": "the mean over {span} of {of}",
    "sum_over_time": "the sum over {span} of {of}",
    "count_over_time": "how many values in {span} there are of {of}",
}


def sentence(condition: Condition) -> str:
    """One comparison in words."""
    limit = number(condition.threshold) if condition.threshold is not None else words(promql.parse(condition.limit))
    missing = ", or there is none" if condition.or_missing else ""
    return f"{words(promql.parse(condition.measured))} {_COMPARED[condition.op]} {limit}{missing}"


def words(node: promql.Expr) -> str:
    """An expression in words."""
    match node:
        case promql.ParenExpr():
            return words(node.expr)
        case promql.NumberLiteral():
            return number(node.val)
        case promql.AggregateExpr():
            each = f" for each {', '.join(node.modifier.labels)}" if node.modifier and node.modifier.labels else ""
            inner = words(node.expr)
            return (
                inner if each == " for each le" else f"{_AGGREGATES.get(str(node.op), f'{node.op} of')} {inner}{each}"
            )
        case promql.Call():
            return _call(node)
        case promql.BinaryExpr():
            return _binary(node)
        case _:
            return flat(node)


def number(value: float) -> str:
    """As people write it: 128,000,000 or 0.01344."""
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _call(node: promql.Call) -> str:
    if node.func.name == "histogram_quantile" and isinstance(node.args[0], promql.NumberLiteral):
        return f"what {node.args[0].val * 100:g} % stay below of {words(node.args[1])}"
    if node.func.name == "vector":
        return words(node.args[0])
    if node.func.name in _CALLS:
        inner, _, span = flat(node.args[0]).rpartition("[")
        span, _, every = span.rstrip("]").partition(":")
        of = words(promql.parse(inner)) + (f", taken every {every}" if every else "")
        return _CALLS[node.func.name].format(span=span, of=of)
    return flat(node)


def _binary(node: promql.BinaryExpr) -> str:
    left, op, right = node.lhs, str(node.op), node.rhs
    if op == "-" and flat(left) == "time()" and isinstance(right, promql.NumberLiteral):
        return f"{number(right.val)} seconds ago"
    if op == "-" and flat(left) == "time()":
        return f"the seconds since {words(right)}"
    if op == "or":
        return f"{words(left)} (where there is none: {words(right)})"
    if op in _COMPARED:
        return f"{words(left)} that {_COMPARED[op]} {words(right)}"
    joined = {
        "/": "as a share of",
        "-": "less",
        "*": "times",
        "+": "and",
        "unless": "unless there is",
        "and": "while",
    }.get(op)
    return f"({words(left)} {joined} {words(right)})" if joined else flat(node)
