from datetime import timedelta
from pathlib import Path

import numpy as np

from service.lifecycle import probe
from service.lifecycle.evaluation.scored import prepare, read_scored
from service.model.schema import Value
from service.records import TRIALS, to_lines, to_object
from service.storage import open_storage
from tests.service.forge import SCHEMA
from tests.service.lifecycle.evaluation.row_wise import as_scored
from tests.service.lifecycle.records import NOON, record, upload

ROOT = Path(__file__).parents[4]


def test_leads_of_the_window_are_read_from_its_start_up_to_but_not_including_its_end(tmp_path: Path) -> None:
    predictions = open_storage(str(tmp_path))
    times = {f"L{hours}": NOON + timedelta(hours=hours) for hours in (-25, -24, -1, 0, 1)}
    upload(predictions, [record(lead, time) for lead, time in times.items()])
    scored = read_scored(predictions, NOON - timedelta(days=1), NOON)
    assert list(scored.table["lead_id"]) == ["L-24", "L-1"]
    assert scored.records == 2


def test_a_record_in_an_object_that_was_opened_an_hour_before_is_found(tmp_path: Path) -> None:
    predictions = open_storage(str(tmp_path))
    (key,) = upload(predictions, [record("L1", NOON)], late=59)
    assert "/hh=11/" in key
    assert len(read_scored(predictions, NOON, NOON + timedelta(minutes=1))) == 1


def test_a_lead_scored_again_counts_once_with_the_score_that_was_acted_on(tmp_path: Path) -> None:
    again = record("L1", NOON + timedelta(minutes=5), score=0.9, request_id="r2")
    scored = as_scored([again, record("L1", score=0.2), record("L2")])
    assert list(scored.table["lead_id"]) == ["L1", "L2"]
    assert scored.table["score"][0] == 0.2
    assert (scored.records, scored.repeated) == (3, 1)


def test_what_was_tried_on_the_page_by_a_deploy_or_by_the_probe_is_counted_and_is_no_lead() -> None:
    scored = as_scored([record("L1"), record("page-4f"), record("smoke-0b"), record(probe.LEAD), record(probe.LEAD)])
    assert list(scored.table["lead_id"]) == ["L1"]
    assert (scored.records, scored.repeated) == (5, 0)


def test_trials_are_called_so_where_they_are_made() -> None:
    made = [(ROOT / path).read_text() for path in ("service/api/page/static/api.js", "infra/operations/smoke.py")]
    assert [f"`{TRIALS[0]}${{" in made[0], f'f"{TRIALS[1]}{{commit}}"' in made[1]] == [True, True]


def test_broken_objects_and_lines_are_named_and_stop_nothing(tmp_path: Path) -> None:
    predictions = open_storage(str(tmp_path))
    (whole,) = upload(predictions, [record("L1"), record("L2")])

    line = to_lines([record("L3")])
    folder = whole.rpartition("/")[0]
    newer = line.replace(b'"record_version":2', b'"record_version":3')
    predictions.create(f"{folder}/b.jsonl.gz", to_object(b'{"lead_id": 3}\n' + line + newer))
    predictions.create(f"{folder}/c.jsonl.gz", b"no gzip at all")
    predictions.create(f"{folder}/d.jsonl.gz", to_object(line)[:-20])
    damaged = bytearray(to_object(line * 50))
    damaged[20] ^= 0xFF
    predictions.create(f"{folder}/e.jsonl.gz", bytes(damaged))
    scored = read_scored(predictions, NOON, NOON + timedelta(minutes=1))
    assert set(scored.table["lead_id"]) == {"L1", "L2", "L3"}
    named = [(bad.file.rpartition("/")[2], bad.row) for bad in scored.broken]
    assert named == [("b.jsonl.gz", 1), ("b.jsonl.gz", 3), ("c.jsonl.gz", 0), ("d.jsonl.gz", 0), ("e.jsonl.gz", 0)]
    assert scored.broken[0].content == '{"lead_id": 3}'
    assert "newer than this code" in scored.broken[1].reason


def test_an_empty_window_is_an_empty_table(tmp_path: Path) -> None:
    scored = read_scored(open_storage(str(tmp_path)), NOON - timedelta(days=3), NOON)
    assert len(scored) == 0
    assert list(scored.table.columns)[:2] == ["lead_id", "time"]


def test_inputs_are_prepared_as_a_file_s_columns_are() -> None:
    rows: list[dict[str, Value]] = [
        {"visits": 7, "days.since contact": 999, "opted_in": True, "industry": "unknown", "region": "north", "new": 1},
        {"opted_in": None, "industry": "retail"},
    ]
    frame = prepare(SCHEMA, rows)
    assert list(frame.columns) == [f.name for f in SCHEMA.features]
    np.testing.assert_array_equal(frame["visits"], [7, np.nan])
    np.testing.assert_array_equal(frame["days.since contact"], [np.nan, np.nan])
    np.testing.assert_array_equal(frame["opted_in"], [1, np.nan])
    assert list(frame["industry"]) == ["", "retail"]
    assert list(frame["region"]) == ["north", ""]
