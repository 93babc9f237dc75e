"""Relations on Spark, and on DuckDB beside it: the same rows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from service import records
from service.lifecycle.relations import duck, spark
from service.lifecycle.relations.columns import record_table
from service.lifecycle.relations.relation import Relation, RelationsFailed
from service.lifecycle.relations.spark_batch import SparkPlace
from service.model.schema import Value
from service.records import PredictionRecord
from service.storage import Folder
from tests.service.lifecycle.relations.agreement import differences

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
UNTIL = SINCE + timedelta(hours=2)
pytestmark = pytest.mark.system


def record(lead: str, minute: float, request: str, **fields: Any) -> PredictionRecord[dict[str, Value]]:
    given: dict[str, Any] = {
        "model_version": "v1",
        "inputs": {},
        "score": 0.5,
        "decision": "yes",
        "band": "A",
        "latency_ms": 2.0,
    }
    return PredictionRecord(
        lead_id=lead, time=SINCE + timedelta(minutes=minute), request_id=request, **{**given, **fields}
    )


AWKWARD = [
    record("a", 1, "r1", inputs={"Amount (EUR), a.b;{c}=`x`": 1.5, "name": "é"}),
    record("A", 1, "r0", score=1e-300, inputs={"amount (EUR), a.b;{c}=`x`": 5e-324, "name": "e\u0301"}),
    record("日本", 2, "r2", inputs={"ok": True, "name": ""}, role="shadow"),
    record("😀", 3, "r3", inputs={"name": "it's a \\ `quote` \"\n"}, channel="trial"),
    record("\ue000", 119.99999, "r4", inputs={"ok": False}, channel="batch", score=0.9999999999999999),
    record("late", 121, "r5"),
    record("early", -1, "r6"),
]


def write_raw(predictions: Folder, found: list[PredictionRecord[dict[str, Value]]], name: str) -> None:
    """As the service does, for the hour of SINCE."""
    predictions.create(records.object_key(f"{SINCE:%Y%m%dT%H%M%SZ}-{name}"), records.to_object(records.to_lines(found)))


def write_batch(predictions: Folder, found: list[PredictionRecord[dict[str, Value]]], name: str) -> None:
    """As batch scoring does."""
    sink = pa.BufferOutputStream()
    parquet.write_table(record_table(found), sink)
    predictions.create(f"predictions/dt={SINCE:%Y-%m-%d}/hh=00/{name}.parquet", sink.getvalue().to_pybytes())


def test_records_of_all_forms_are_the_same_on_both(tmp_path: Path, spark_place: SparkPlace) -> None:
    predictions = Folder(tmp_path)
    write_raw(predictions, AWKWARD[:3], "a")
    write_batch(predictions, AWKWARD[3:], "b")
    hashed = "select lead_key, md5(lead_key) as digest from records where \"text:name\" is distinct from 'é'"
    first = "select * from records qualify row_number() over (partition by channel order by time) = 1"
    names = ["records", "hashed", "first_of_channel", "first_seen"]
    with (
        duck.opened(predictions, SINCE, UNTIL) as here,
        spark.opened(predictions, SINCE, UNTIL, "evaluate", lambda _: None, spark_place) as there,
    ):
        found = []
        for engine in (here, there):
            engine.define([Relation("hashed", hashed), Relation("first_of_channel", first)])
            found.append(engine.results(names))
        assert here.columns == there.columns
        staged = list(there.staging.keys(""))
    ours, theirs = found
    assert {name: ours[name].num_rows for name in names} == dict(zip(names, (5, 4, 3, 0), strict=True))
    assert {name: differences(ours[name], theirs[name]) for name in names} == {name: [] for name in names}
    assert staged
    assert not list(there.staging.keys("")), "what was staged names leads"


def test_a_relation_that_fails_is_named(tmp_path: Path, spark_place: SparkPlace) -> None:
    write_raw(Folder(tmp_path), AWKWARD, "a")
    with spark.opened(Folder(tmp_path), SINCE, UNTIL, "evaluate", lambda _: None, spark_place) as engine:
        engine.define([Relation("shares", "select 1 / (score - score) as share from records")])
        with pytest.raises(RelationsFailed, match=r"failed: .*relation shares: .*DIVIDE_BY_ZERO"):
            engine.results(["shares"])
        staged = engine.staging.keys("")
    assert not list(staged)


def test_a_broken_object_is_named_and_its_records_are_left_out(tmp_path: Path) -> None:
    predictions = Folder(tmp_path / "predictions")
    write_raw(predictions, AWKWARD[:2], "a")
    predictions.create(f"predictions/dt={SINCE:%Y-%m-%d}/hh=00/b.parquet", b"PAR1 and no more")
    place = SparkPlace("projects/acme/locations/europe-west1", str(tmp_path / "staging"), "spark", "spark@acme")
    with spark.opened(predictions, SINCE, UNTIL, "evaluate", lambda _: None, place) as engine:
        assert [key for key, _ in engine.broken] == [f"predictions/dt={SINCE:%Y-%m-%d}/hh=00/b.parquet"]
        assert "number:^amount (^e^u^r), a.b;{c}=`x`" in engine.columns
