import copy
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.environments import DEV, ENVIRONMENTS, PROD
from infra.rehearsal import report
from infra.rehearsal.steps import Planned
from infra.review import inventory
from tests.infra.conftest import PLANTED_KEY, Stacks

Rehearsed = Callable[[str], list[Planned]]
Factory = pytest.TempPathFactory
ORDER = list(ENVIRONMENTS)


@pytest.fixture
def written(rehearsed: Rehearsed, tmp_path: Path) -> Path:
    """A folder with the inventories of DEV and PROD."""
    for env in (DEV, PROD):
        inventory.write(rehearsed(env.id), env, ORDER, tmp_path)
    return tmp_path


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_committed_inventories_are_those_of_the_plans(rehearsed: Rehearsed, env: str) -> None:
    stale = inventory.stale(rehearsed(env), ENVIRONMENTS[env], ORDER)
    assert stale == [], f"if that is meant, run: scripts/plan {env} --inventory"


def test_the_base_lists_types_counts_and_arguments_as_terraform_names_them(written: Path) -> None:
    text = (written / "base" / "storage.md").read_text()
    assert text.startswith("# storage\n")
    assert "## google_storage_bucket: 5\n" in text
    assert "  - public_access_prevention enforced\n" in text
    assert "  - soft_delete_policy.retention_duration_seconds 604800\n" in text
    assert "  - logging.log_bucket {prefix}-{id}-access-logs\n" in text


def test_an_environment_lists_only_what_differs(written: Path) -> None:
    text = (written / "dev.md").read_text()
    assert "- removed google_kms_crypto_key.key_images\n" in text
    assert "settings.tier db-custom-1-3840" in text
    assert "database_version" not in text
    assert "## tracking\n" in text
    assert "Nothing: `base/` is this environment's inventory." in (written / "prod.md").read_text()


def test_a_changed_value_makes_the_environment_stale(rehearsed: Rehearsed, written: Path) -> None:
    assert inventory.stale(rehearsed("dev"), DEV, ORDER, written) == []
    assert inventory.stale(inherited(rehearsed("dev")), DEV, ORDER, written) == ["dev.md"]


def test_a_changed_base_leaves_the_other_environments_as_they_are(rehearsed: Rehearsed, written: Path) -> None:
    changed = inherited(rehearsed("prod"))
    assert inventory.stale(changed, PROD, ORDER, written) == ["base/storage.md", "dev.md"]
    inventory.write(changed, PROD, ORDER, written)
    assert inventory.stale(changed, PROD, ORDER, written) == []
    assert inventory.stale(rehearsed("dev"), DEV, ORDER, written) == []


def test_the_order_of_writing_does_not_matter(rehearsed: Rehearsed, written: Path, tmp_path_factory: Factory) -> None:
    other = tmp_path_factory.mktemp("other")
    for env in (PROD, DEV):
        inventory.write(rehearsed(env.id), env, ORDER, other)
    assert contents(other) == contents(written)


def test_one_environment_alone_is_the_base(rehearsed: Rehearsed, tmp_path: Path) -> None:
    inventory.write(rehearsed("dev"), DEV, ORDER, tmp_path)
    assert "settings.tier db-custom-1-3840" in (tmp_path / "base" / "database.md").read_text()
    assert "Nothing: " in (tmp_path / "dev.md").read_text()


def test_the_files_of_stacks_and_environments_that_are_gone_are_stale_and_deleted(
    rehearsed: Rehearsed, written: Path
) -> None:
    left = [each for each in rehearsed("prod") if each.stack != "prod-edge"]
    assert inventory.stale(left, PROD, ["prod"], written) == ["base/edge.md", "dev.md"]
    inventory.write(left, PROD, ["prod"], written)
    assert inventory.stale(left, PROD, ["prod"], written) == []
    assert not (written / "base" / "edge.md").exists()


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_no_inventory_holds_a_secret_or_a_made_up_value(rehearsed: Rehearsed, env: str) -> None:
    text = str(inventory.of(rehearsed(env), ENVIRONMENTS[env]))
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
            paths = report.MATTERS.get(resource["type"], ())
            config = stack.config["resource"][resource["type"]][resource["name"]]
            arguments = config.keys() | config.get("dynamic", {}).keys()
            shown = {name for name, value in report.values(each.plan, resource) if value != report.LATER}
            left += [
                f"{resource['address']}: {path}"
                for path in paths
                if report.argument(path) in shown and path.split(".")[0] not in arguments
            ]
    assert left == []


def test_a_type_without_chosen_values_shows_all_that_the_code_sets() -> None:
    change = {"actions": ["create"], "after": {"size": 3, "mode": None, "labels": {"a": "b"}}, "after_unknown": {}}
    resource = {"address": "a_type.a", "type": "a_type", "name": "a", "mode": "managed", "change": change}
    expressions = {"size": {"constant_value": 3}, "labels": {"constant_value": {"a": "b"}}}
    configured = [{"address": "a_type.a", "expressions": expressions}]
    plan = {"resource_changes": [resource], "configuration": {"root_module": {"resources": configured}}}
    assert inventory.of([Planned("dev-x", plan)], DEV)["x"] == {"a_type.a": {"size": "3"}}


def test_inventories_are_short_enough_to_be_read() -> None:
    for file in inventory.FOLDER.rglob("*.md"):
        longest = max(file.read_text().splitlines(), key=len)
        assert len(re.sub(r"query .*", "query", longest)) < 400, f"{file}: {longest[:80]}"


def inherited(planned: list[Planned]) -> list[Planned]:
    """These plans, with other buckets."""
    changed = copy.deepcopy(planned)
    for each in changed:
        for resource in each.plan["resource_changes"]:
            if resource["type"] == "google_storage_bucket":
                resource["change"]["after"]["public_access_prevention"] = "inherited"
    return changed


def contents(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*.md")}
