import re
from pathlib import Path
from typing import Any

import pytest

from infra.environments import ENVIRONMENTS
from infra.rehearsal.rehearse import rehearse_change
from infra.rehearsal.stateful import STATEFUL
from infra.rehearsal.terraform import Terraform
from infra.review import addresses
from tests.infra.conftest import Stacks, stack

BUCKET = {"name": "b", "location": "EU"}
# What holds something sounds like it; these only sound so: they say which certificate answers for which name.
NOT_STATEFUL = {"google_certificate_manager_certificate_map", "google_certificate_manager_certificate_map_entry"}
STATEFUL_WORDS = re.compile(
    r"database|bucket|cluster|key|address|repository|certificate|secret|zone|backup_plan|instance"
)


def at(name: str, **config: Any) -> Any:
    return stack(name="s", resource={"google_storage_bucket": {name: BUCKET}}, **config)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_no_stateful_resource_has_left_its_address(stacks: Stacks, env: str) -> None:
    lost = addresses.lost(stacks(env), env)
    assert lost == [], "record a move, or take the line out of the lock by hand if it is to be destroyed"


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_stateful_resource_is_locked(stacks: Stacks, env: str) -> None:
    assert addresses.unlocked(stacks(env), env) == [], f"run: scripts/plan {env} --inventory"


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_type_that_holds_something_is_in_the_table(stacks: Stacks, env: str) -> None:
    types = {t for each in stacks(env) for t in each.config.get("resource", {})}
    sounding = {t for t in types if STATEFUL_WORDS.search(t) and not re.search(r"_(iam_\w+|version|policy)$", t)}
    assert sounding - NOT_STATEFUL <= STATEFUL


def test_a_new_address_without_a_move_is_a_loss(tmp_path: Path) -> None:
    addresses.write([at("a")], "dev", tmp_path)
    assert addresses.lost([at("a")], "dev", tmp_path) == []
    assert addresses.lost([at("b")], "dev", tmp_path) == ["s google_storage_bucket.a"]
    assert addresses.unlocked([at("b")], "dev", tmp_path) == ["s google_storage_bucket.b"]


def test_a_recorded_move_is_none_unless_it_leads_nowhere(tmp_path: Path) -> None:
    move = {"from": "google_storage_bucket.a", "to": "google_storage_bucket.b"}
    addresses.write([at("a")], "dev", tmp_path)
    assert addresses.lost([at("b", moved=[move])], "dev", tmp_path) == []
    assert addresses.lost([at("c", moved=[move])], "dev", tmp_path) == ["s google_storage_bucket.a"]


def test_a_lost_address_cannot_be_written_away(tmp_path: Path) -> None:
    addresses.write([at("a")], "dev", tmp_path)
    written = addresses.write([at("b")], "dev", tmp_path)
    assert written.read_text().splitlines() == ["s google_storage_bucket.a", "s google_storage_bucket.b"]
    assert addresses.lost([at("b")], "dev", tmp_path) == ["s google_storage_bucket.a"]


def test_terraform_carries_a_moved_resource_along(engine: Terraform) -> None:
    move = {"from": "google_storage_bucket.a", "to": "google_storage_bucket.b"}
    (result,) = rehearse_change([at("a")], [at("b", moved=[move])], engine)
    (change,) = result.plan["resource_changes"]
    assert change["change"]["actions"] == ["no-op"]
    assert (change["previous_address"], change["address"]) == (move["from"], move["to"])
