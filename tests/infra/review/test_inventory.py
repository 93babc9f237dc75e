import copy
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.environments import ENVIRONMENTS
from infra.rehearsal import report
from infra.rehearsal.steps import Planned
from infra.review import inventory
from tests.infra.conftest import PLANTED_KEY, Stacks

Rehearsed = Callable[[str], list[Planned]]


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_committed_inventories_are_those_of_the_plans(rehearsed: Rehearsed, env: str) -> None:
    stale = inventory.stale(rehearsed(env), env)
    assert stale == [], f"if that is meant, run: scripts/plan {env} --inventory"


def test_an_inventory_tells_types_counts_and_the_values_that_matter(rehearsed: Rehearsed) -> None:
    (storage,) = (each for each in rehearsed("prod") if each.stack == "prod-storage")
    text = inventory.text(storage)
    assert text.startswith("# prod-storage\n")
    assert "## google_storage_bucket: 5\n" in text
    assert "  - public access prevention enforced\n" in text
    assert "role roles/storage.objectCreator" in text


def test_a_value_that_changes_makes_the_inventory_stale(rehearsed: Rehearsed, tmp_path: Path) -> None:
    inventory.write(rehearsed("prod"), "prod", tmp_path)
    assert inventory.stale(rehearsed("prod"), "prod", tmp_path) == []
    changed = copy.deepcopy(rehearsed("prod"))
    for each in changed:
        for resource in each.plan["resource_changes"]:
            if resource["type"] == "google_storage_bucket":
                resource["change"]["after"]["public_access_prevention"] = "inherited"
    assert inventory.stale(changed, "prod", tmp_path) == ["storage"]


def test_the_inventory_of_a_stack_that_is_gone_is_stale_and_taken_away(rehearsed: Rehearsed, tmp_path: Path) -> None:
    first, *others = inventory.write(rehearsed("dev"), "dev", tmp_path)
    left = [each for each in rehearsed("dev") if each.stack != f"dev-{first.stem}"]
    assert inventory.stale(left, "dev", tmp_path) == [first.stem]
    assert inventory.write(left, "dev", tmp_path) == others
    assert not first.exists()


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_no_inventory_holds_a_secret_or_a_made_up_value(rehearsed: Rehearsed, env: str) -> None:
    for each in rehearsed(env):
        text = inventory.text(each)
        assert PLANTED_KEY not in text
        assert "rehearsed-" not in text


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_value_that_matters_is_set_in_code_and_not_left_to_the_provider(
    rehearsed: Rehearsed, stacks: Stacks, env: str
) -> None:
    left = []
    for each, stack in zip(rehearsed(env), stacks(env), strict=True):
        for resource in each.plan["resource_changes"]:
            if resource["mode"] != "managed":
                continue
            paths = report.MATTERS.get(resource["type"], {})
            config = stack.config["resource"][resource["type"]][resource["name"]]
            arguments = config.keys() | config.get("dynamic", {}).keys()
            shown = {name for name, value in report.values(each.plan, resource) if value != report.LATER}
            left += [
                f"{resource['address']}: {path}"
                for name, path in paths.items()
                if name in shown and path.split(".")[0] not in arguments
            ]
    assert left == []


def test_a_type_without_chosen_values_shows_all_that_the_code_sets() -> None:
    change = {"actions": ["create"], "after": {"size": 3, "mode": None, "labels": {"a": "b"}}, "after_unknown": {}}
    resource = {"address": "a_type.a", "type": "a_type", "name": "a", "mode": "managed", "change": change}
    expressions = {"size": {"constant_value": 3}, "labels": {"constant_value": {"a": "b"}}}
    configured = [{"address": "a_type.a", "expressions": expressions}]
    plan = {"resource_changes": [resource], "configuration": {"root_module": {"resources": configured}}}
    assert "- a: size 3\n" in inventory.text(Planned("dev-x", plan))


def test_inventories_are_short_enough_to_be_read() -> None:
    for file in inventory.FOLDER.rglob("*.md"):
        longest = max(file.read_text().splitlines(), key=len)
        assert len(re.sub(r"query .*", "query", longest)) < 400, f"{file}: {longest[:80]}"
