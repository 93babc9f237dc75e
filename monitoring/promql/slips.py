"""What a slip of the hand makes of one node of an expression: a sentence of the change, and the node's new text."""

import re
from collections.abc import Iterator
from datetime import timedelta

import promql_parser as promql

FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "!=", "!=": "=="}
NEGATED = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
SIGNS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
AGGREGATIONS = {"sum": ("max",), "max": ("sum", "min"), "min": ("max", "sum")}
FUNCTIONS = {
    "rate": ("increase", "delta"),
    "increase": ("rate", "delta"),
    "max_over_time": ("min_over_time", "avg_over_time"),
    "min_over_time": ("max_over_time",),
    "avg_over_time": ("max_over_time",),
    "last_over_time": ("max_over_time", "min_over_time"),
    "sum_over_time": ("max_over_time",),
}
OFFSET = "1h"
CLOSED = ("response_code_class", "blocked", "result", "state", "memory_type", "figure")
"""Labels of few known values, of which none is longer than another: what begins alike is the same."""
OTHER_CLASSES = {"5": "4", "2": "3"}
OTHER_BUCKETS = {"0.25": "0.5"}
"""The bucket beside: service/api/metrics.py."""

Slip = tuple[str, str]
Matcher = tuple[str, str, str]


def of_node(node: promql.Expr) -> Iterator[Slip]:
    """Everything that one node may become."""
    match node:
        case promql.NumberLiteral() if node.val:
            yield from _of_number(node.val)
        case promql.BinaryExpr():
            yield from ((change, f"({text})") for change, text in _of_binary(node))
        case promql.Call():
            yield from _of_call(node)
        case promql.AggregateExpr():
            yield from _of_aggregation(node)
        case promql.MatrixSelector():
            yield from _of_range(node)
        case promql.SubqueryExpr() if node.range:
            step = promql.display_duration(node.step) if node.step else ""
            for change, span in _spans(node.range):
                yield change, f"({flat(node.expr)})[{span}:{step}]"
        case promql.VectorSelector():
            yield from _of_selector(node)


def offset(node: promql.VectorSelector) -> Iterator[Slip]:
    """The selector an hour ago, where it says no other time."""
    if node.offset is None:
        yield "offset added", f"{flat(node)} offset {OFFSET}"


def scaled(span: timedelta, factor: float) -> str:
    """A span that many times as long, in whole seconds."""
    return promql.display_duration(timedelta(seconds=max(round(span.total_seconds() * factor), 1)))


def flat(expr: promql.Expr) -> str:
    """An expression in one line."""
    return " ".join(expr.prettify().split())


def _of_number(value: float) -> Iterator[Slip]:
    yield "doubled", f"{value * 2:g}"
    yield "halved", f"{value / 2:g}"
    if abs(value) < 1:
        yield "percent for a ratio", f"{value * 100:.12g}"
        yield "a ratio for percent", f"{value / 100:.12g}"
    elif abs(value) >= 60:
        yield "milliseconds for seconds", f"{value * 1000:.12g}"
        yield "seconds for milliseconds", f"{value / 1000:.12g}"


def _of_binary(node: promql.BinaryExpr) -> Iterator[Slip]:
    left, op, right = f"({flat(node.lhs)})", str(node.op), f"({flat(node.rhs)})"
    modifier = node.modifier
    bool_ = " bool" if modifier and modifier.return_bool else ""
    labels = list(modifier.matching.labels) if modifier and modifier.matching else None
    how = bool_ if labels is None else f"{bool_} on ({', '.join(labels)})"
    if op in FLIPPED:
        yield "flipped", f"{left} {FLIPPED[op]}{how} {right}"
    elif op == "/":
        yield "numerator for denominator", f"{right} /{how} {left}"
    elif op in ("and", "unless", "or"):
        yield f"{op} dropped", left
        if op == "and":
            yield "first condition dropped", right
            yield "or for and", f"{left} or{how} {right}"
    for label in labels or ():
        kept = ", ".join(other for other in labels or () if other != label)
        yield f"{label} missing in on", f"{left} {op}{bool_} on ({kept}) {right}"


def _of_call(node: promql.Call) -> Iterator[Slip]:
    name = node.func.name
    for other in FUNCTIONS.get(name, ()):
        yield f"{other} for {name}", f"{other}({flat(node.args[0])})"
    if node.args and isinstance(node.args[0], promql.MatrixSelector):
        yield f"{name} dropped", flat(node.args[0].vector_selector)


def _of_aggregation(node: promql.AggregateExpr) -> Iterator[Slip]:
    param = f"{flat(node.param)}, " if node.param else ""
    labels = list(node.modifier.labels) if node.modifier else []

    def text(op: str, by: list[str]) -> str:
        grouped = f" by ({', '.join(by)}) " if by else " "
        return f"{op}{grouped}({param}{flat(node.expr)})"

    for other in AGGREGATIONS.get(str(node.op), ()):
        yield f"{other} for {node.op}", text(other, labels)
    for label in labels:
        yield f"{label} missing in by", text(str(node.op), [other for other in labels if other != label])
    if str(node.op) in AGGREGATIONS:
        yield f"{node.op} dropped", f"({flat(node.expr)})"


def _of_range(node: promql.MatrixSelector) -> Iterator[Slip]:
    selector = flat(node.vector_selector)
    if node.vector_selector.offset is not None:
        return
    for change, span in _spans(node.range):
        yield change, f"{selector}[{span}]"
    yield "offset added", f"{selector}[{promql.display_duration(node.range)}] offset {OFFSET}"


def _spans(span: timedelta) -> Iterator[Slip]:
    yield "window halved", scaled(span, 0.5)
    yield "window doubled", scaled(span, 2)
    # Google's samples and those of pods are a minute apart, those of a job hours.
    yield "window shorter than the distance of samples", "1m" if span <= timedelta(hours=2) else "1h"


def _of_selector(node: promql.VectorSelector) -> Iterator[Slip]:
    matchers = [(m.name, SIGNS[str(m.op).removeprefix("MatchOp.")], m.value) for m in node.matchers.matchers]

    def text(kept: list[Matcher]) -> str:
        inner = ",".join(f'{name}{sign}"{value}"' for name, sign, value in kept)
        return f"{node.name}{{{inner}}}" if inner else str(node.name)

    for index, matcher in enumerate(matchers):
        before, after = matchers[:index], matchers[index + 1 :]
        yield f"{matcher[0]} dropped", text([*before, *after])
        for change, changed in _of_matcher(matcher):
            yield f"{matcher[0]} {change}", text([*before, changed, *after])


def _of_matcher(matcher: Matcher) -> Iterator[tuple[str, Matcher]]:
    name, sign, value = matcher
    yield "renamed", (f"{name}_", sign, value)
    yield "negated", (name, NEGATED[sign], value)
    if name == "le":
        other = OTHER_BUCKETS.get(value, "+Inf")
        yield "of another bucket", (name, sign, other)
        yield "of a second bucket too", (name, "=~", f"{re.escape(value)}|{re.escape(other)}".replace("\\", "\\\\"))
    elif sign == "=" and name in CLOSED:
        if value[0] in OTHER_CLASSES:
            yield "of another class", (name, sign, f"{OTHER_CLASSES[value[0]]}{value[1:]}")
    elif sign == "=":
        yield "widened", (name, "=~", f"{value}.*")
        yield "widened in front", (name, "=~", f".*{value}")
    elif "=~" in sign or "!~" in sign:
        for change, pattern in _patterns(value):
            yield change, (name, sign, pattern)


def _patterns(pattern: str) -> Iterator[Slip]:
    """A regular expression that takes more, or less."""
    alternatives = pattern.split("|")
    if len(alternatives) > 1:
        for dropped in alternatives:
            yield f"narrowed by {dropped}", "|".join(other for other in alternatives if other != dropped)
        yield "widened", f"{alternatives[0][0]}.*"
    elif pattern.endswith(".."):
        yield "narrowed to one", f"{pattern[:-2]}00"
        yield "narrowed to another", f"{pattern[:-2]}03"
        yield "widened", f"[45]{pattern[1:]}"
    else:
        yield "narrowed", pattern.rstrip("+*")
        yield "widened", ".*"
