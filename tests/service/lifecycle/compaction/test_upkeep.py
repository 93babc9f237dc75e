"""Tables of a day become few, and days past keeping go: at every step readers find each record once."""

from datetime import timedelta
from pathlib import Path

import pytest

from service.lifecycle.compact import compact
from service.lifecycle.compaction import upkeep
from service.lifecycle.relations.record_files import read_manifest, record_files
from service.storage import Folder, Storage, open_storage
from tests.service.lifecycle.compaction.test_days import DAY, SOON, first_times, visible
from tests.service.lifecycle.dying import Died, Dying, free_the_lease
from tests.service.lifecycle.records import NOON, record, upload

OLD = NOON - timedelta(days=5)
OVER = NOON + timedelta(hours=13)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A day of five tables in two parts each, and an earlier day."""
    predictions = Folder(tmp_path_factory.mktemp("predictions"))
    upload(predictions, [record("old", OLD)])
    for number in range(5):
        inputs = {f"field {number}": float(number)}
        upload(predictions, [record(lead, request_id=str(number), inputs=inputs) for lead in ("a", "b")], str(number))
        compact(predictions, predictions, SOON)
    return predictions


def copied(source: Storage, url: str) -> Storage:
    storage = open_storage(url)
    for key in source.keys(""):
        found = source.read(key)
        assert found
        storage.create(key, found.data)
    free_the_lease(storage)
    return storage


def tables(predictions: Storage) -> list[str]:
    return [output.key for output in read_manifest(predictions, DAY)[0].outputs]


def test_tables_of_a_day_that_is_over_become_one_a_part_and_the_others_go_a_day_later(
    stored: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions = copied(stored, str(tmp_path))
    expected, before = visible(predictions), tables(predictions)
    assert len(before) == 10
    compact(predictions, predictions, OVER - timedelta(minutes=1))  # its last hour waits
    assert tables(predictions) == before
    listed = record_files(predictions, NOON - timedelta(days=9), OVER)
    compact(predictions, predictions, OVER)
    after = tables(predictions)
    assert len(after) == 2
    assert visible(predictions) == expected
    assert all(predictions.read(key) for key in listed.tables)  # a reader that listed them finds them
    compact(predictions, predictions, OVER)
    assert tables(predictions) == after
    monkeypatch.setattr(upkeep, "ORPHANS", timedelta())
    compact(predictions, predictions, OVER)
    assert set(predictions.keys(f"records/day={DAY}/")) == set(after)
    assert visible(predictions) == expected


@pytest.mark.parametrize(("kind", "each"), [("folder", 4), ("bucket", 29)])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_merging_and_expiry_that_die_at_any_step_lose_and_double_nothing(
    stored: Folder, tmp_path: Path, gcs_url: str, kind: str, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "ORPHANS", timedelta())
    expected = visible(stored)
    kept = expected.copy()
    del kept[("old", "r-old")]
    for at in range(1, 1000, each):
        predictions = copied(stored, str(tmp_path / str(at)) if kind == "folder" else f"{gcs_url}/{at}")
        try:
            compact(Dying(predictions, at), Folder(tmp_path / "leads"), OVER, keep_days=3)
        except Died:
            pass
        else:
            assert at > 30
            break
        assert visible(predictions) in (expected, kept)
        assert set(first_times(predictions)) >= {"a", "b"}
        free_the_lease(predictions)
        for _ in range(2):
            compact(predictions, predictions, OVER, keep_days=3)
            assert visible(predictions) == kept
        assert set(first_times(predictions)) == {"a", "b"}
        assert set(predictions.keys("records/day=")) == set(tables(predictions))
        assert len(tables(predictions)) == 2
