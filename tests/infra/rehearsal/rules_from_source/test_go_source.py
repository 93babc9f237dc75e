from pathlib import Path
from typing import Any

import pytest

from infra.rehearsal.rules_from_source.go_source import Call, GoSource, Name, Scope, expression

A = """
package a

const limit = 5

var (
    keys = []string{"a.0.b", "a.0.c"}
    shared = map[string]*schema.Schema{"s": {Type: schema.TypeString, Optional: true}}
)

func argument(text string) *schema.Schema {
    return &schema.Schema{Required: true, Description: text}
}

func ResourceA() *schema.Resource {
    made := &schema.Resource{Schema: map[string]*schema.Schema{"a": argument("said")}}
    made.Schema["later"] = &schema.Schema{ForceNew: true}
    return made
}

func other(d *schema.ResourceData) bool {
    return true
}
"""


@pytest.fixture
def source(tmp_path: Path) -> GoSource:
    folder = tmp_path / "google" / "services" / "a"
    folder.mkdir(parents=True)
    (folder / "a.go").write_text(A)
    (folder / "a_test.go").write_text('package a\n\nvar keys = []string{"of a test"}\n')
    return GoSource(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a\\"b"', 'a"b'),
        ("`a\\b`", "a\\b"),
        ("-3", -3),
        ("2.5", 2.5),
        ("true", True),
        ("nil", None),
        ("math.MaxInt32", 2147483647),
        ('[]string{"a", "b"}', ["a", "b"]),
        ('map[string]int{"a": 1}', {"a": 1}),
        ("&schema.Schema{Optional: true, MaxItems: limit}", {"Optional": True, "MaxItems": 5}),
        ("keys", ["a.0.b", "a.0.c"]),
        ('append(keys, "d")', ["a.0.b", "a.0.c", "d"]),
        ("validation.IntBetween(1, limit)", Call("validation.IntBetween", [1, 5])),
        ("other(nil)", Call("other", [None])),
        ("func(v any) bool { return true }", Call("func")),
        ("schema.TypeString", Name("schema.TypeString")),
        ('argument("x")', {"Required": True, "Description": "x"}),
        ("ResourceA()", {"Schema": {"a": {"Required": True, "Description": "said"}, "later": {"ForceNew": True}}}),
    ],
)
def test_an_expression_has_its_value(text: str, value: Any, source: GoSource) -> None:
    scope = Scope(source.root / "google" / "services" / "a")
    assert source.evaluate(expression(text), scope) == value


def test_merged_schemas_are_one(source: GoSource) -> None:
    merged = expression('tpgresource.MergeSchemas(a.shared, map[string]*schema.Schema{"t": {Required: true}})')
    optional = {"Type": Name("schema.TypeString"), "Optional": True}
    assert source.evaluate(merged, Scope(source.root)) == {"s": optional, "t": {"Required": True}}


def test_a_name_of_another_package_is_found_there(source: GoSource) -> None:
    assert source.evaluate(expression("a.keys"), Scope(source.root)) == ["a.0.b", "a.0.c"]
    assert source.resolve(Scope(source.root), "b.keys") is None
    assert source.resolve(Scope(source.root), "a.none") is None
