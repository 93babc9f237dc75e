"""The watcher follows the contact rule that is stored beside the pointer."""

from pathlib import Path

import pytest

from service.api.watcher import Watcher
from service.model.contact_rule import ContactRule
from service.model.stored_rule import RULES, read_rule, replace_rule
from service.storage import Conflict, Folder
from tests.service import forge

RECENT = ContactRule(line=0.7, explore_probability=0.1, basis="recent", leads=5_000)


def followed(watcher: Watcher) -> ContactRule:
    """The rule in service after a check."""
    if scorer := watcher.check():
        watcher.swap(scorer)
    return watcher.served().rule


@pytest.fixture
def models(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    forge.release(folder, version="v1")
    return folder


def test_a_stored_rule_comes_into_service_without_a_new_model_and_goes_when_it_is_deleted(models: Folder) -> None:
    swaps: list[None] = []
    watcher = Watcher(models, 1, 100, lambda: swaps.append(None))
    own = followed(watcher)
    assert own == ContactRule(line=0.4)
    engine = watcher.served().bundle.engine
    replace_rule(models, "v1", RECENT, None)
    assert followed(watcher) == RECENT
    assert watcher.check() is None  # nothing new
    newer = RECENT.model_copy(update={"line": 0.6})
    replace_rule(models, "v1", newer, read_rule(models, "v1").generation)
    assert followed(watcher) == newer
    assert watcher.served().bundle.engine is engine
    (models.root / RULES / "v1.json").unlink()
    assert followed(watcher) == own
    assert len(swaps) == 4


def test_a_rule_is_of_one_version_and_is_there_from_its_first_score_on(models: Folder) -> None:
    watcher = Watcher(models, 1, 100, lambda: None)
    replace_rule(models, "v1", RECENT, None)
    assert followed(watcher) == RECENT
    forge.release(models, seed=1, version="v2")
    assert followed(watcher) == ContactRule(line=0.4)
    assert watcher.served().bundle.version == "v2"


def test_a_malformed_rule_changes_nothing_and_keeps_no_new_model_out(models: Folder) -> None:
    watcher = Watcher(models, 1, 100, lambda: None)
    replace_rule(models, "v1", RECENT, None)
    assert followed(watcher) == RECENT
    (models.root / RULES / "v1.json").write_text('{"line": 2}')
    (models.root / RULES / "v2.json").write_text("no JSON")
    assert followed(watcher) == RECENT
    forge.release(models, seed=1, version="v2")
    assert followed(watcher) == ContactRule(line=0.4)
    (models.root / RULES / "v2.json").unlink()
    replace_rule(models, "v2", RECENT, None)
    assert followed(watcher) == RECENT


def test_of_two_that_refresh_a_rule_one_is_refused(models: Folder) -> None:
    replace_rule(models, "v1", RECENT, None)
    with pytest.raises(Conflict):
        replace_rule(models, "v1", RECENT.model_copy(update={"line": 0.1}), None)
    assert read_rule(models, "v1").rule == RECENT
