"""What an alert compares with what is read from its expression, and loses nothing of it."""

from datetime import timedelta

import promql_parser
import pytest

from monitoring import catalogue
from monitoring.alerts import Alert, Severity
from monitoring.promql.conditions import conditions, flat
from tests.facts import stating


def read(expr: str) -> list[tuple[str, str, float | str]]:
    alert = Alert(
        name="Odd",
        expr=expr,
        hold=timedelta(0),
        severity=Severity.TICKET,
        summary="Odd.",
        runbook="odd.md",
        panel="Odd",
    )
    return [(c.measured, c.op, c.limit if c.threshold is None else c.threshold) for c in conditions(alert)]


@pytest.mark.parametrize(
    ("expr", "told"),
    [
        ("a > 1", [("a", ">", 1)]),
        ("a / b > 0.5\nand\n(c >= 10)", [("a / b", ">", 0.5), ("c", ">=", 10)]),
        ("a < 0.5 * b", [("a", "<", "0.5 * b")]),
        ("a > 5 unless b > 0", [("a", ">", 5), ("b", "<=", 0)]),
        ("vector(1) unless on () count(a)", [("count(a) or vector(0)", "<=", 0)]),
        ("vector(1) unless on () max(a) > time() - 600", [("time() - max(a)", ">=", 600)]),
        (
            "x_timestamp_seconds > y_timestamp_seconds",
            [("time() - x_timestamp_seconds", "<", "time() - y_timestamp_seconds")],
        ),
        ("(a < 5) > (b or c) > d", [("a", "<", 5), ("a", ">", "b or c"), ("a", ">", "d")]),
        (
            "x_timestamp_seconds > (y_timestamp_seconds or vector(0))",
            [("time() - x_timestamp_seconds", "<", "time() - y_timestamp_seconds")],
        ),
        ("time() - a_timestamp_seconds > 60", [("time() - a_timestamp_seconds", ">", 60)]),
        ("count(max by (c) (a) == 0) >= 2", [("count(max by (c) (a) == 0)", ">=", 2)]),
    ],
)
def test_an_expression_is_split_into_what_is_compared(expr: str, told: list[tuple[str, str, float | str]]) -> None:
    assert read(expr) == told


def test_an_expression_that_compares_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=stating("Odd:", "compares nothing", "a / b")):
        read("a / b")


def test_spaces_inside_strings_and_spans_are_kept_as_people_write_them() -> None:
    assert (
        flat(promql_parser.parse('sum(  max_over_time(a{b="( c )"}[1d1h])  )'))
        == 'sum(max_over_time(a{b="( c )"}[25h]))'
    )


@pytest.mark.parametrize("alert", catalogue.alerts(), ids=lambda alert: alert.name)
def test_every_alerts_metrics_are_in_its_conditions(alert: Alert) -> None:
    told = conditions(alert)
    names = {name for c in told for text in (c.measured, c.limit) for name in _metrics(text)}
    assert names == _metrics(alert.expr)
    for condition in told:
        promql_parser.parse(condition.measured)
        promql_parser.parse(condition.limit)


def _metrics(expr: str) -> set[str]:
    found: set[str] = set()

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.add(str(node.name))

    promql_parser.walk(promql_parser.parse(expr), visit)
    return found
