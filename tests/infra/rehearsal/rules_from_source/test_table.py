"""The generator of the rules, on small providers; and our table beside the source it was made of."""

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from infra.rehearsal import rules
from infra.rehearsal.rules_from_source import __main__ as command
from infra.rehearsal.rules_from_source import table
from infra.rehearsal.rules_from_source.conditions import UnreadableError
from infra.rehearsal.rules_from_source.go_source import GoSource
from infra.rehearsal.rules_from_source.table import read, render

CHECKOUT = os.environ.get("GOOGLE_PROVIDER_SOURCE")
RESOURCE = """
package a

var SchemaOfMember = map[string]*schema.Schema{"bucket": {Required: true, ForceNew: true}}

func ResourceA() *schema.Resource {
    return &schema.Resource{
        CustomizeDiff: customdiff.All(%s),
        Schema: map[string]*schema.Schema{
            %s
        },
    }
}

func customA(d *schema.ResourceDiff) error {
    return customAInner(d)
}

func customAInner(d *schema.ResourceDiff) error {
    return d.ForceNew("b.0.c")
}
"""
PROVIDER = """
package provider

var resources = map[string]*schema.Resource{
    "google_a": a.ResourceA(),
    "google_a_member": iam.ResourceMember(a.SchemaOfMember),
}

var dataSources = map[string]*schema.Resource{
    "google_b": a.DataSourceB(),
}
"""
IAM = """
package iam

func ResourceMember(parent map[string]*schema.Schema) *schema.Resource {
    return &schema.Resource{Schema: tpgresource.MergeSchemas(base, parent)}
}

var base = map[string]*schema.Schema{"role": {Required: true, ForceNew: true}}
"""
B = '"b": {Optional: true, Elem: &schema.Resource{Schema: map[string]*schema.Schema{"c": {Optional: true}}}},'
PAIR = '[]string{"a", "b"}'
LIST = 'validation.StringInSlice([]string{"x"}, false)'
BLOCK = '&schema.Resource{Schema: map[string]*schema.Schema{"b": {Required: true, ForceNew: true}}}'


def source(folder: Path, schema: str = B, custom: str = "") -> GoSource:
    files = {
        "provider/provider.go": PROVIDER,
        "services/a/resource_a.go": RESOURCE % (custom, schema),
        "iam/iam.go": IAM,
    }
    for name, text in files.items():
        file = folder / "google" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return GoSource(folder)


@pytest.mark.parametrize(
    ("schema", "rules"),
    [
        ('"a": {Required: true, ForceNew: true},', {"replaces": ["a"]}),
        (
            f'"a": {{Type: schema.TypeSet, Optional: true, Elem: {BLOCK}}},',
            {"replaces": ["a.b"], "sets": ["a"]},
        ),
        ('"a": {Computed: true, ForceNew: true},', {}),
        ('"a": {Optional: true, ConflictsWith: []string{"b.0.c", "a"}},', {"conflicts": [["a", "b.c"]]}),
        ('"a": {Optional: true, RequiredWith: []string{"b", "a"}},', {"required_with": [["a", "b"]]}),
        (
            f'"a": {{Optional: true, ExactlyOneOf: {PAIR}}}, "b": {{Optional: true, ExactlyOneOf: {PAIR}}},',
            {"exactly_one_of": [["a", "b"]]},
        ),
        ('"a": {Optional: true, AtLeastOneOf: []string{"b"}},', {"at_least_one_of": [["a", "b"]]}),
        ('"a": {Optional: true, MinItems: 2, MaxItems: 3},', {"items": {"a": [2, 3]}}),
        ('"a": {Optional: true, ValidateFunc: verify.ValidateEnum([]string{"x"})},', {"one_of": {"a": ["", "x"]}}),
        (
            '"a": {Optional: true, ValidateFunc: validation.StringInSlice([]string{"x"}, true)},',
            {"one_of": {"a": ["x"]}, "any_case": ["a"]},
        ),
        ('"a": {Optional: true, ValidateFunc: validation.IntBetween(1, 2)},', {"range": {"a": [1, 2]}}),
        ('"a": {Optional: true, ValidateFunc: validation.FloatAtLeast(0.5)},', {"range": {"a": [0.5, float("inf")]}}),
        ('"a": {Optional: true, ValidateFunc: validation.StringLenBetween(0, 9)},', {"length": {"a": [0, 9]}}),
        (
            '"a": {Optional: true, ValidateDiagFunc: validation.ToDiagFunc(validation.IntAtMost(9))},',
            {"range": {"a": [float("-inf"), 9]}},
        ),
        ('"a": {Optional: true, ValidateFunc: verify.ValidateGCEName},', {"checked_by_code": ["a"]}),
        ('"a": {Optional: true, ValidateFunc: validation.IntBetween(1, unknown)},', {"checked_by_code": ["a"]}),
        (
            f'"a": {{Optional: true, Elem: &schema.Schema{{ValidateFunc: {LIST}}}}},',
            {"one_of": {"a": ["x"]}},
        ),
        (
            f'"a": {{Optional: true, Elem: {BLOCK}}},',
            {"replaces": ["a.b"]},
        ),
    ],
)
def test_an_argument_of_a_schema_gives_its_rules(schema: str, rules: dict[str, Any], tmp_path: Path) -> None:
    written = tomllib.loads(render({"google_a": read(source(tmp_path, schema), "google_a")}))["google_a"]
    assert written == {"source": "google/services/a/resource_a.go", **rules}


@pytest.mark.parametrize(
    ("custom", "condition"),
    [
        ('customdiff.ForceNewIfChange("b.0.c", other.IsSmaller),', "IsSmaller"),
        ('customdiff.ForceNewIf("b.0.c", func(d any) bool { return !isOther(d) }),', "isOther"),
        ("customA,", "customA"),
    ],
)
def test_a_condition_on_which_an_argument_replaces_has_the_name_of_its_function(
    custom: str, condition: str, tmp_path: Path
) -> None:
    assert read(source(tmp_path, custom=custom), "google_a").replaces_if == {"b.c": condition}


def test_what_customizes_a_plan_without_replacing_is_no_condition(tmp_path: Path) -> None:
    assert read(source(tmp_path, custom="tpgresource.SetLabelsDiff, another,"), "google_a").replaces_if == {}


def test_a_schema_of_several_parts_is_read_whole_and_its_own_file_named(tmp_path: Path) -> None:
    member = read(source(tmp_path), "google_a_member")
    assert (member.replaces, member.source) == (["bucket", "role"], "google/services/a/resource_a.go")


@pytest.mark.parametrize(
    ("type_name", "schema", "said"),
    [
        ("google_b", B, "no resource google_b"),
        ("google_a", '"a": unreadable(),', "a is Call"),
        ("google_a", '"a": {Optional: true, ConflictsWith: unreadable()},', "a group of a"),
    ],
)
def test_what_cannot_be_read_is_said_and_not_left_out(type_name: str, schema: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=said):
        read(source(tmp_path, schema), type_name)


def test_the_command_adds_a_type_to_those_that_the_table_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "rules.toml"
    monkeypatch.setattr(table, "FILE", file)
    source(tmp_path)
    command.main([str(tmp_path), "google_a"])
    command.main([str(tmp_path), "google_a_member"])
    assert set(tomllib.loads(file.read_text())) == {"google_a", "google_a_member"}


def test_the_command_writes_nothing_where_a_type_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rules.toml"
    monkeypatch.setattr(table, "FILE", file)
    source(tmp_path)
    with pytest.raises(SystemExit, match="no resource google_c"):
        command.main([str(tmp_path), "google_a", "google_c"])
    assert not file.exists()


if CHECKOUT:  # without one this is no test that could not run: nothing else needs the checkout

    @pytest.mark.slow
    def test_the_table_is_what_the_source_gives() -> None:
        checkout = GoSource(Path(str(CHECKOUT)))
        written = render({type_name: read(checkout, type_name) for type_name in rules.RULES})
        assert written == table.FILE.read_text()
