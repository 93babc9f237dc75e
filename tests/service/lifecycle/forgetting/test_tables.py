"""A lead is forgotten in the compacted tables, in those parts alone that its key names."""

import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from service.lifecycle import forget
from service.lifecycle.compact import compact
from service.lifecycle.compaction import days, part_tables
from service.lifecycle.forgetting.search import Search
from service.lifecycle.forgetting.trials import Trials
from service.lifecycle.promotion import lease
from service.lifecycle.relations.columns import record_table
from service.lifecycle.relations.lead_keys import part_of
from service.lifecycle.relations.record_files import read_manifest, table_place
from service.lifecycle.runtime.runner import JobFailed
from service.storage import Folder, StorageError
from tests.service.lifecycle.compaction.test_days import visible
from tests.service.lifecycle.compaction.test_upkeep import copied
from tests.service.lifecycle.dying import Died, Dying, free_the_lease
from tests.service.lifecycle.records import NOON, record, upload

LEAD, SOON, LATER = "L-7", NOON + timedelta(hours=5), NOON + timedelta(days=1)


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Folder, Folder]:
    return Folder(tmp_path / "predictions"), Folder(tmp_path / "leads")


def run(tmp_path: Path, *more: str) -> int:
    return forget.main(["--platform", str(tmp_path), "--lead-id", LEAD, *more])


def ids(predictions: Folder) -> dict[str, list[str]]:
    """The leads in each Parquet object."""
    keys = [key for key in predictions.keys("") if key.endswith(".parquet")]
    found = {key: predictions.read(key) for key in keys}
    return {
        key: parquet.read_table(io.BytesIO(each.data))["lead_id"].to_pylist() for key, each in found.items() if each
    }


def holding(predictions: Folder, lead: str = LEAD) -> list[str]:
    return [key for key, leads in ids(predictions).items() if lead in leads]


def consistent(predictions: Folder) -> None:
    (manifest,) = (read_manifest(predictions, "2026-03-01")[0],)
    for output in manifest.outputs:
        found = predictions.read(output.key)
        assert found
        assert (found.generation, len(ids(predictions)[output.key])) == (output.generation, output.records)


def test_only_the_leads_part_is_rewritten_and_the_manifest_says_so(
    stored: tuple[Folder, Folder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictions, leads = stored
    upload(predictions, [record(f"L-{n}") for n in range(60)])
    compact(predictions, leads, SOON)  # its raw object is still there
    before = {key: predictions.read(key) for key in predictions.keys("records/")}
    assert len(holding(predictions)) == 2  # table and first score
    assert run(tmp_path) == 0
    assert "2 rows" in capsys.readouterr().out
    assert holding(predictions) == list(predictions.keys("predictions/")) == []
    changed = {key for key in predictions.keys("records/") if predictions.read(key) != before[key]}
    manifest = "records/manifest/day=2026-03-01.json"
    assert {key.split("part=")[1][0] for key in changed - {manifest}} == {part_of(LEAD)}
    assert manifest in changed
    consistent(predictions)
    assert compact(predictions, leads, SOON).records == 0
    assert sum(table_place(key) is not None and len(each) for key, each in ids(predictions).items()) == 59


def test_a_table_of_this_lead_alone_stays_without_rows(stored: tuple[Folder, Folder], tmp_path: Path) -> None:
    predictions, leads = stored
    upload(predictions, [record(LEAD)])
    compact(predictions, leads, SOON)
    assert run(tmp_path) == 0
    consistent(predictions)
    assert list(ids(predictions).values()) == [[]]
    upload(predictions, [record("other", NOON + timedelta(hours=1))])
    assert compact(predictions, leads, SOON).records == 1


def test_trials_on_the_page_are_found_in_every_part(stored: tuple[Folder, Folder], tmp_path: Path) -> None:
    predictions, leads = stored
    mine = [record(f"page-{n}", channel="trial", inputs={"Size": 7.0, "of": "x"}) for n in range(9)]
    other = record("page-other", inputs={"Size": 8.0, "of": "x"})
    upload(predictions, [record(LEAD, inputs={"Size": 7.0, "of": "x"}), *mine, other])
    compact(predictions, leads, SOON)
    assert run(tmp_path) == 0
    assert {lead for each in ids(predictions).values() for lead in each} == {"page-other"}
    consistent(predictions)


def test_orphans_are_searched(stored: tuple[Folder, Folder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictions, leads = stored
    upload(predictions, [record(LEAD), record("other")])

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(days, "add", die)
    with pytest.raises(KeyboardInterrupt):
        compact(predictions, leads, SOON)
    assert holding(predictions)
    assert run(tmp_path) == 0
    assert holding(predictions) == []


@pytest.mark.parametrize("stalled", [False, True])
def test_a_lead_that_is_forgotten_while_compaction_runs_does_not_come_back(
    stored: tuple[Folder, Folder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stalled: bool
) -> None:
    predictions, leads = stored
    upload(predictions, [record(LEAD), record("other")])
    hold, read_back = lease.hold, part_tables.read_back
    held, codes = list[lease.Lease](), list[int]()

    @contextmanager
    def spied(*arguments: Any) -> Iterator[lease.Lease]:
        with hold(*arguments) as mine:
            held.append(mine)
            yield mine

    def waited(_: float) -> None:
        if stalled:
            held[0]._until = 0
        else:
            held[0]._renew(60)

    def meanwhile(*arguments: Any) -> Any:
        found = read_back(*arguments)
        if not codes:
            monkeypatch.setattr("time.sleep", waited)
            codes.append(run(tmp_path))
        return found

    monkeypatch.setattr("service.lifecycle.compact.hold", spied)
    monkeypatch.setattr(days, "read_back", meanwhile)
    if stalled:
        with pytest.raises((JobFailed, StorageError)):
            compact(predictions, leads, SOON)
    else:
        compact(predictions, leads, SOON)
    assert codes == [0 if stalled else 1]
    monkeypatch.undo()
    assert stalled or run(tmp_path) == 0
    compact(predictions, leads, SOON)
    assert holding(predictions) == []
    assert {lead for each in ids(predictions).values() for lead in each} == {"other"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("kind", "each"), [("folder", 4), ("bucket", 29)])
def test_a_search_that_dies_at_any_step_is_finished_by_the_next(
    tmp_path: Path, gcs_url: str, kind: str, each: int
) -> None:
    begun = Folder(tmp_path / "begun")
    leads = [LEAD, "other", "third"]
    upload(begun, map(record, leads))
    upload(begun, [record("page-1", channel="trial")], "page")  # with the lead's own values: found in another part
    compact(begun, begun, SOON)
    upload(begun, [record(lead, SOON, request_id="raw") for lead in leads])
    batch = io.BytesIO()
    parquet.write_table(record_table([record(lead, SOON, channel="batch") for lead in leads]), batch)
    begun.create("predictions/dt=2026-03-01/hh=17/batch.parquet", batch.getvalue())
    expected = Counter({row: n for row, n in visible(begun).items() if row[0] not in (LEAD, "page-1")})
    assert expected.total() == 6
    for at in range(1, 1000, each):
        root = str(tmp_path / str(at)) if kind == "folder" else f"{gcs_url}/{at}"
        predictions, own = copied(begun, f"{root}/predictions"), Folder(tmp_path / f"{at}-leads")
        dying = Dying(predictions, at)
        try:
            forget.forget(forget.Task(Search(frozenset({LEAD}), trials=Trials()), {"leads": own, "predictions": dying}))
        except Died:
            pass
        else:
            assert at > 30
            changed = [key for key in dying.changed if table_place(key) or key.startswith("records/first/")]
            parts = {part_of(LEAD), part_of("page-1")}
            assert sorted(key.split("part=")[1][0] for key in changed if table_place(key)) == sorted(parts)
            assert [key.split("part=")[1][0] for key in changed if not table_place(key)] == [part_of(LEAD)]
            return
        free_the_lease(predictions)
        task = forget.Task(Search(frozenset({LEAD}), trials=Trials()), {"leads": own, "predictions": predictions})
        swept, _ = forget.forget(task)
        assert [failure for place in swept for failure in place.failed] == []
        assert not [each for place in forget.forget(task)[0] for each in place.removed]
        assert visible(predictions) == expected
        compact(predictions, own, LATER)
        assert visible(predictions) == expected
    pytest.fail("it never ended")
