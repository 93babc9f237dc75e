"""A few new first scores do not make a run write all of history again, and none is lost on the way."""

import io
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pyarrow import parquet

from service.lifecycle.compaction import first_scores
from service.lifecycle.compaction.first_scores import add
from service.lifecycle.relations.columns import record_table
from service.lifecycle.relations.duck import opened
from service.lifecycle.relations.earlier_scores import firsts
from service.lifecycle.relations.record_files import first_keys
from service.storage import Folder, Storage
from tests.service.lifecycle.compaction.test_days import first_times
from tests.service.lifecycle.dying import Died, Dying
from tests.service.lifecycle.records import NOON, record

RECENT, OTHERS = first_keys("0")
EARLIER, LATER = NOON - timedelta(hours=1), NOON + timedelta(hours=1)


def given(storage: Storage, *leads: str, time: datetime = NOON) -> None:
    add(storage, "0", [firsts(record_table([record(lead, time) for lead in leads]))])


def rows(storage: Storage, key: str) -> int:
    found = storage.read(key)
    assert found
    return int(parquet.read_table(io.BytesIO(found.data)).num_rows)


def test_a_small_table_is_written_again_and_a_large_one_only_with_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions = Folder(tmp_path)
    given(predictions, *map(str, range(50)))
    assert list(predictions.keys("")) == [OTHERS]
    large = predictions.read(OTHERS)
    monkeypatch.setattr(first_scores, "SMALL", 0)
    monkeypatch.setattr(first_scores, "SHARE", 0)
    given(predictions, "new", "1", time=EARLIER)
    given(predictions, "newer", "2", time=LATER)
    assert predictions.read(OTHERS) == large
    expected = {**{str(n): NOON for n in range(50)}, "1": EARLIER, "new": EARLIER, "newer": LATER}
    assert first_times(predictions) == expected
    with opened(predictions, NOON, LATER) as engine:
        assert engine._rows("select count(distinct lead_key) as n from first_seen").to_pylist() == [{"n": 52}]
    monkeypatch.setattr(first_scores, "SHARE", 10)
    given(predictions, "newer")
    assert (rows(predictions, RECENT), rows(predictions, OTHERS)) == (0, 52)
    assert first_times(predictions) == {**expected, "newer": NOON}


def test_no_first_score_is_lost_wherever_merging_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_scores, "SMALL", 0)
    for at in range(1, 100):
        predictions = Folder(tmp_path / str(at))
        given(predictions, "a", "b")
        try:
            given(Dying(predictions, at), "a", "c", time=EARLIER)
        except Died:
            found = first_times(predictions)
            assert found in ({"a": NOON, "b": NOON}, {"a": EARLIER, "b": NOON, "c": EARLIER})
        else:
            assert at > 7
            return
        given(predictions, "a", "c", time=EARLIER)
        assert first_times(predictions) == {"a": EARLIER, "b": NOON, "c": EARLIER}
        assert rows(predictions, RECENT) == 0
    pytest.fail("it never ended")
