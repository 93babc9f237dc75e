"""The provider's bug fixes after the version in use: each is judged, with a reason that can be looked up."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from infra.rehearsal import changes, schema_cache
from infra.rehearsal.schema import Block
from infra.rehearsal.synthesis import types
from tests.infra.conftest import Stacks

FILE = Path(changes.__file__).with_name("changelog.toml")
FIXES = tomllib.loads(FILE.read_text())["fix"]
NAMES = [f"{fix['version']}-{fix['pull'].rpartition('/')[2]}" for fix in FIXES]


def version(fix: dict[str, str]) -> tuple[int, ...]:
    return tuple(int(part) for part in fix["version"].split("."))


def has(block: Block, path: list[str]) -> bool:
    name, *rest = path
    nested = block["block_types"].get(name)
    return has(nested["block"], rest) if nested and rest else not rest and (bool(nested) or name in block["attributes"])


def test_the_fixes_are_later_than_the_version_in_use_and_in_their_order() -> None:
    assert len(FIXES) > 50
    assert all(version(fix) > (6, 50, 0) for fix in FIXES)
    assert [version(fix) for fix in FIXES] == sorted(version(fix) for fix in FIXES)
    assert len(set(NAMES)) == len(NAMES)


def test_every_type_is_in_use(stacks: Stacks) -> None:
    used = {name for env in ("dev", "staging", "prod") for name in types(stacks(env), "resource")}
    assert {name for fix in FIXES for name in fix["types"]} <= used


@pytest.fixture(scope="module")
def resources() -> Mapping[str, Block]:
    return schema_cache.load("registry.terraform.io/hashicorp/google").resources


@pytest.mark.parametrize("fix", FIXES, ids=NAMES)
def test_a_verdict_has_a_reason_and_what_is_avoided_an_argument_that_a_rehearsal_changes(
    fix: dict[str, str], resources: Mapping[str, Block]
) -> None:
    assert fix["verdict"] in ("avoided", "accepted", "not applicable")
    assert len(fix["reason"].split()) >= 3
    assert (fix["verdict"] == "avoided") == ("by" in fix)
    if "by" in fix:
        assert any(has(resources[name], fix["by"].split(".")) for name in fix["types"])
        assert {fact.type for fact in changes.FACTS}.intersection(fix["types"])
