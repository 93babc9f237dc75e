"""A lead that was scored before a window counts as such, compacted or not."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from service.lifecycle.compact import compact
from service.lifecycle.relations.columns import record_table
from service.lifecycle.relations.duck import opened
from service.lifecycle.relations.earlier_scores import SCHEMA, earlier_scores
from service.lifecycle.relations.first_scores import first_scores
from service.storage import Folder
from tests.service.lifecycle.records import NOON, record, upload

BEFORE = NOON - timedelta(days=2)
BATCH = f"predictions/dt={BEFORE:%Y-%m-%d}/hh=12/batch.parquet"


def given(folder: Path) -> Folder:
    """Leads of the window; `line` and `file` were scored two days before it too, others by trial or shadow alone."""
    predictions = Folder(folder)
    earlier = [
        record("line", BEFORE),
        record("trial", BEFORE, channel="trial"),
        record("shadow", BEFORE, role="shadow"),
        record("forgotten", BEFORE, channel=None, role=None),
    ]
    upload(predictions, earlier)
    sink = pa.BufferOutputStream()
    parquet.write_table(record_table([record("file", BEFORE)]), sink)
    predictions.create(BATCH, sink.getvalue().to_pybytes())
    upload(predictions, [record(name, NOON) for name in ("line", "file", "trial", "shadow", "new")])
    return predictions


def judged(predictions: Folder) -> set[str]:
    with opened(predictions, NOON, NOON + timedelta(days=1)) as engine:
        engine.define(first_scores(NOON))
        return set(engine.results(["first_scores"])["first_scores"]["lead_id"].to_pylist())


def test_a_lead_that_was_scored_before_the_window_is_not_judged_again_though_nothing_is_compacted(
    tmp_path: Path,
) -> None:
    predictions = given(tmp_path)
    assert judged(predictions) == {"trial", "shadow", "new"}
    compact(predictions, Folder(tmp_path / "leads"), NOON - timedelta(hours=1))
    assert judged(predictions) == {"trial", "shadow", "new"}


def test_what_a_table_holds_is_not_read_again(tmp_path: Path) -> None:
    predictions = given(tmp_path)
    tables = list(earlier_scores(predictions, NOON))
    assert {lead for table in tables for lead in table["lead_id"].to_pylist()} == {"line", "file", "forgotten"}
    assert all(table.schema == SCHEMA for table in tables)
    compact(predictions, Folder(tmp_path / "leads"), NOON - timedelta(hours=1))
    assert list(earlier_scores(predictions, NOON)) == []
