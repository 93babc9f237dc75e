"""Leads that batch scores are recorded as the service would record them, each once, whatever a task is stopped at."""

import csv
import io
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.tracking import MlflowClient
from pandas.testing import assert_frame_equal
from pyarrow import parquet

from service import history, records
from service.api.scorer import Scorer, ScoreRequest
from service.history import Evaluation
from service.lifecycle import batch, evaluate, forget, score
from service.lifecycle.compact import compact
from service.lifecycle.data import file_parts
from service.lifecycle.data.form import Form
from service.lifecycle.data.source import load_source
from service.lifecycle.drift_detection.window import recent
from service.lifecycle.evaluation.labelled import matured
from service.lifecycle.relations.columns import FIXED, input_field
from service.lifecycle.relations.record_files import record_files
from service.lifecycle.runtime.runner import JobFailed, Loop
from service.lifecycle.scoring import batch_records, split
from service.lifecycle.scoring.batch_scoring import FileJob, score_file
from service.lifecycle.training.candidates import candidates
from service.lifecycle.training.golden import golden
from service.lifecycle.training.onnx_export import to_onnx
from service.lifecycle.training.reference_profile import describe
from service.model import bundle
from service.model.bundle import Bundle
from service.model.contact_rule import ContactRule
from service.model.decide import Decider
from service.model.schema import Feature, LeadSchema
from service.storage import Folder, Storage, open_storage
from tests.conftest import HANG_S
from tests.service import forge
from tests.service.lifecycle.world import World, days

CSV = b"lead_id,visits,opted_in,industry\na,7,true,retail\nb,,,\nc,1,false,energy\n"
LATER = datetime.now(UTC) + timedelta(days=60)


class Places:
    """The storages of a batch job below one address."""

    def __init__(self, root: str) -> None:
        self.leads, self.out, self.records = (
            open_storage(f"{root}/{name}") for name in ("leads/batch", "predictions/batch", "predictions")
        )


@pytest.fixture(params=["folder", "bucket"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    return Places(str(tmp_path) if request.param == "folder" else request.getfixturevalue("gcs_url"))


def job(served: Bundle, places: Places, **options: Any) -> batch.BatchJob:
    form = options.pop("form", Form())
    given: dict[str, Any] = {"records": places.records, "say": lambda _: None} | options
    return batch.BatchJob(FileJob(served, form, 2), places.leads, places.out, **given)


def rows_at(storage: Storage, keys: Iterable[str]) -> Iterator[dict[str, Any]]:
    for key in keys:
        stored = storage.read(key)
        assert stored
        yield from parquet.read_table(io.BytesIO(stored.data)).to_pylist()


def recorded(storage: Storage) -> list[dict[str, Any]]:
    """The rows of all raw objects."""
    return list(rows_at(storage, storage.keys("predictions/dt=")))


def inputs(row: dict[str, Any]) -> dict[str, Any]:
    return {field[1]: v for name, v in row.items() if v is not None and (field := input_field(name))}


def leads_of(storage: Storage) -> Counter[str]:
    """How often each lead is among the records that readers find, compacted or not."""
    files = record_files(storage, datetime.now(UTC) - days(2), datetime.now(UTC) + days(2))
    return Counter(row["lead_id"] for row in rows_at(storage, (*files.tables, *files.raw)))


def numbered(count: int, start: int = 0) -> bytes:
    lines = [f"L-{i:04d},{i % 9},{'yes' if i % 2 else 'no'},retail" for i in range(start, start + count)]
    return "\n".join(["lead_id,visits,opted_in,industry", *lines]).encode()


def test_the_object_has_the_columns_of_records_and_one_time_and_request(served: Bundle, places: Places) -> None:
    places.leads.create("campaign/may.csv", CSV + b"x,many,,\n,2,,\n")
    before = datetime.now(UTC)
    assert batch.run(job(served, places)).scored == 3
    (key,) = places.records.keys("predictions/dt=")
    stored = places.records.read(key)
    assert stored
    read = parquet.ParquetFile(io.BytesIO(stored.data)).schema_arrow
    assert read.remove_metadata().names[: len(FIXED)] == FIXED.names
    assert [read.field(name).type for name in FIXED.names] == FIXED.types
    rows = recorded(places.records)
    (time,), (request,) = {row["time"] for row in rows}, {row["request_id"] for row in rows}
    assert before <= time <= datetime.now(UTC)
    assert key == f"predictions/dt={time:%Y-%m-%d}/hh={time:%H}/{request}.parquet"
    assert [(row["lead_id"], row["lead_key"], inputs(row)) for row in rows] == [
        ("a", "a", {"visits": 7.0, "opted_in": True, "industry": "retail"}),
        ("b", "b", {}),
        ("c", "c", {"visits": 1.0, "opted_in": False, "industry": "energy"}),
    ]
    manifest = served.manifest
    for row in rows:
        said = {name: row[name] for name in ("model_version", "source", "channel", "line", "role")}
        assert list(said.values()) == [
            served.version,
            manifest.provenance.source,
            "batch",
            manifest.threshold,
            "champion",
        ]
        assert row["latency_ms"] is row["policy"] is row["probability"] is None


CHOICES = LeadSchema(features=(*forge.SCHEMA.features, Feature(name="Interests", kind="category", separator=";")))


@pytest.fixture(scope="module")
def choosing(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of which a category may hold several choices, and which does not use the column `region`."""
    frame, outcome = forge.rows(800)
    draw = np.random.default_rng(5)
    asked = draw.random((800, 3)) < 0.5
    cells = [";".join(np.array(["Call", "Demo", "Webinar"])[row]) for row in asked]
    frame = frame.assign(region="", Interests=np.array(cells, dtype=object))
    pipeline = candidates(CHOICES, frame)["logistic_regression"].fit(frame, outcome)
    exported = to_onnx(pipeline)
    scores = pipeline.predict_proba(frame)[:, 1]
    looked = describe(CHOICES, frame, frame, scores, outcome.astype(np.int8), 0.4)
    models = Folder(tmp_path_factory.mktemp("choosing"))
    manifest = forge.manifest(exported, CHOICES, version="v1")
    forge.point(
        models, "v1", bundle.publish(models, manifest, exported.onnx, golden(pipeline, CHOICES, frame), "#", looked)
    )
    return batch.load_bundle(models)


NUMBERS = st.one_of(
    st.none(),
    st.integers(-3, 1_000).map(str),
    st.floats(-1e6, 1e6).map(repr),
    st.sampled_from(["999", "1e3", " 7 ", "n/a", "-", "many", "1.158"]),
)
BOOLEANS = st.sampled_from([None, "true", "no", "1", "0", "YES", "", "perhaps", "n/a"])
TEXTS = st.one_of(
    st.none(),
    st.sampled_from(["retail", " Retail ", "unknown", "n/a", "-", "3.0", "é", "e\u0301", "x" * 1_001]),
    st.text("ab ;,", max_size=5),
)
SEVERAL = st.lists(st.sampled_from(["Call", "Demo", " webinar", "Fax"]), max_size=4).map(";".join)
IDS = st.one_of(
    st.integers(0, 99).map(str),
    st.sampled_from(["1007.0", '="01007"', " a  b ", "", "Total", "0015000000Gv7qJAAR", "'=x"]),
)
ROWS = st.lists(st.tuples(IDS, NUMBERS, NUMBERS, BOOLEANS, TEXTS, TEXTS, SEVERAL), min_size=1, max_size=8)
NAMES = ["lead_id", *(feature.name for feature in CHOICES.features)]


def by_the_service(served: Bundle, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """What the service records for these cells."""
    body = json.dumps({"columns": NAMES, "rows": rows}).encode()
    result = Scorer(served, 1_000).score_cells(ScoreRequest(body, "r", 0.0), explain=False)
    found = records.read_object(records.to_object(result.lines)) if result.lines else []
    return [(r.lead_id, r.inputs, r.score, r.decision, r.band, r.line, r.role, r.source) for r in found]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, typed=st.booleans())
def test_records_hold_what_the_service_records_for_the_same_cells(
    choosing: Bundle, tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]], typed: bool
) -> None:
    place = Places(str(tmp_path_factory.mktemp("cells")))
    table = pa.table(
        list(map(list, zip(*rows, strict=True))), schema=pa.schema([(name, pa.string()) for name in NAMES])
    )
    if typed:
        days_apart = [None if v is None or not v[-1:].isdigit() else float(v) for v in table[2].to_pylist()]
        table = table.set_column(2, NAMES[2], pa.array(days_apart, pa.float64()))
        rows = [(*row[:2], number, *row[3:]) for row, number in zip(rows, days_apart, strict=True)]
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    place.leads.create("some", sink.getvalue())
    with suppress(JobFailed):  # where no row can be scored
        batch.run(job(choosing, place))
    columns = ("score", "decision", "band", "line", "role", "source")
    found = [(r["lead_id"], inputs(r), *(r[name] for name in columns)) for r in recorded(place.records)]
    expected = by_the_service(choosing, rows)
    assert [(each[:2], each[3:]) for each in found] == [(each[:2], each[3:]) for each in expected]
    assert [each[2] for each in found] == pytest.approx([each[2] for each in expected], abs=1e-12)


def test_a_second_run_of_a_file_records_nothing(
    served: Bundle, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    places.leads.create("may.csv", CSV)
    batch.run(job(served, places))
    monkeypatch.setattr(batch_records, "_now", lambda: LATER)
    batch.run(job(served, places))
    (scores,) = places.out.keys("may.csv")
    stored = places.out.read(scores)
    assert stored
    places.out.delete(scores, stored.generation)
    assert batch.run(job(served, places)).scored == 3
    assert Counter(row["lead_id"] for row in recorded(places.records)) == {"a": 1, "b": 1, "c": 1}


def test_two_starts_of_a_task_at_once_record_each_lead_once(
    served: Bundle, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_records, "ROWS", 1)  # its object is begun when the other start comes
    places.leads.create("may.csv", CSV)
    other = list[int]()

    def overtaken(*arguments: Any, **options: Any) -> Any:
        counts = score_file(*arguments, **options)
        if not other:
            other.append(0)
            other.append(batch.run(job(served, places)).scored)
        return counts

    monkeypatch.setattr(batch, "score_file", overtaken)
    assert batch.run(job(served, places)).scored == 0
    assert other == [0, 3]
    assert [row["lead_id"] for row in recorded(places.records)] == ["a", "b", "c"]


def test_what_is_refused_or_empty_records_nothing(
    served: Bundle, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_records, "ROWS", 1)
    places.leads.create("a.csv", CSV + b"x,many,,\n" + b"d,1,true,retail\n" * 200 + b'e,1,true,"never closed\n')
    places.leads.create("b.csv", b"lead_id,visits\nx,many\n")
    places.leads.create("c.csv", b"lead_id,visits\n")
    places.leads.create("d.csv", b"lead_id,visits,industry\n" + b"".join(b"n%d,1,new %d\n" % (i, i) for i in range(99)))
    with pytest.raises(JobFailed) as refused:
        batch.run(job(served, places))
    assert [name for name in "abcd" if f"{name}.csv" in str(refused.value)] == ["a", "b", "d"]
    assert recorded(places.records) == []


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "LEAST", 500)
    monkeypatch.setattr(file_parts, "PART_BYTES", 2_000)
    monkeypatch.setattr(batch_records, "ROWS", 30)


@pytest.mark.usefixtures("small_parts")
def test_the_parts_of_a_file_are_together_what_the_whole_would_be(served: Bundle, places: Places) -> None:
    places.leads.create("may.csv", numbered(500))
    for tasks, task in ((3, 1), (2, 0), (2, 1)):
        batch.run(job(served, places, task=task, tasks=tasks))
    rows = recorded(places.records)
    assert Counter(row["lead_id"] for row in rows) == {f"L-{i:04d}": 1 for i in range(500)}
    assert len({row["request_id"] for row in rows}) == len(list(places.records.keys("predictions/dt="))) > 3
    assert leads_of(places.records) == {f"L-{i:04d}": 1 for i in range(500)}


@pytest.mark.parametrize("explored", [0.0, 0.2])
def test_a_file_that_is_started_again_is_scored_by_the_rule_of_its_records(
    served: Bundle, tmp_path: Path, explored: float
) -> None:
    places = Places(str(tmp_path))
    places.leads.create("may.csv", numbered(300))

    def scored_by(rule: ContactRule) -> bytes:
        batch.run(job_ruled_by(served, places, rule))
        (key,) = places.out.keys("may.csv")
        stored = places.out.read(key)
        assert stored
        places.out.delete(key, stored.generation)
        return stored.data

    first = scored_by(ContactRule(line=0.3, explore_probability=explored))
    assert scored_by(ContactRule(line=0.7, explore_probability=0.5)) == first  # the records are there
    rows = recorded(places.records)
    assert {row["line"] for row in rows} == {0.3}
    decided = {row["lead_id"]: row["decision"] for row in csv.DictReader(io.StringIO(first.decode()))}
    assert decided == {row["lead_id"]: row["decision"] for row in rows}


@pytest.mark.usefixtures("small_parts")
def test_all_parts_of_a_file_are_scored_by_one_rule(served: Bundle, tmp_path: Path) -> None:
    places = Places(str(tmp_path))
    places.leads.create("may.csv", numbered(500))
    for task, line in enumerate((0.3, 0.7)):
        batch.run(job_ruled_by(served, places, ContactRule(line=line), task=task, tasks=2))
    rows = recorded(places.records)
    assert len(rows) == 500
    assert len({row["request_id"] for row in rows}) > 3
    assert {row["line"] for row in rows} == {0.3}


def job_ruled_by(served: Bundle, places: Places, rule: ContactRule, **options: Any) -> batch.BatchJob:
    made = job(served, places, **options)
    return replace(made, job=replace(made.job, rule=rule))


KILLED = """
import os, signal
from service.lifecycle import batch
from service.lifecycle.scoring import batch_records

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def after(whole):
    def wrapped(*arguments):
        whole(*arguments)
        kill()
    return wrapped

batch_records.ROWS = 100
place = batch_records._RecordObject
setattr(place, {step!r}, after(getattr(place, {step!r})))
batch.main({arguments!r})
"""


@pytest.mark.parametrize(("step", "there", "compacted"), [("take", 0, False), ("end", 250, False), ("end", 250, True)])
def test_a_task_that_is_killed_before_the_scores_appear_records_each_lead_once(
    step: str,
    there: int,
    compacted: bool,
    served: Bundle,
    models: Folder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = Places(str(tmp_path))
    places.leads.create("may.csv", numbered(250))
    arguments = ["--models", models.url, "--input", places.leads.url, "--out", places.out.url, "--threads", "1"]
    arguments += ["--records", places.records.url]
    command = [sys.executable, "-c", KILLED.format(step=step, arguments=arguments)]
    assert subprocess.run(command, check=False, timeout=HANG_S).returncode == -signal.SIGKILL
    assert sum(leads_of(places.records).values()) == there
    assert list(places.out.keys("may")) == []
    # It is started again the next night; its records may be in tables by then.
    monkeypatch.setattr(batch_records, "_now", lambda: datetime.now(UTC) + timedelta(days=1))
    for _ in range(2 if compacted else 0):
        compact(places.records, places.leads, datetime.now(UTC) + timedelta(hours=3))
    assert batch.run(job(served, places)).scored == 250
    assert leads_of(places.records) == {f"L-{i:04d}": 1 for i in range(250)}
    compact(places.records, places.leads, LATER)
    assert leads_of(places.records) == {f"L-{i:04d}": 1 for i in range(250)}


@pytest.fixture
def nightly(tmp_path: Path) -> tuple[World, pd.DataFrame]:
    """Two nights in which nearly the same leads were exported and scored, as Parquet and as CSV; and what they hold."""
    world = World(tmp_path, "nightly")
    forge.release(world.models)
    frame, outcome = forge.rows(700, seed=3)
    opted = frame["opted_in"].astype("boolean")
    exported = frame.assign(lead_id=[f"C-{i}" for i in range(700)], opted_in=opted)
    exported.drop(index=range(30)).to_parquet(tmp_path / "first.parquet")
    exported.to_csv(tmp_path / "second.csv", index=False)
    places = Places(str(tmp_path))
    for night in ("first.parquet", "second.csv"):
        places.leads.create(night, (tmp_path / night).read_bytes())
        batch.run(job(batch.load_bundle(world.models), places))
        compact(places.records, world.leads, datetime.now(UTC) + timedelta(hours=3))
    assert leads_of(places.records) == {f"C-{i}": 1 + (i >= 30) for i in range(700)}
    world.tell({f"C-{i}": bool(won) for i, won in enumerate(outcome)})
    return world, frame.assign(won=np.where(outcome, "yes", "no"))


def test_leads_that_are_scored_each_night_are_evaluated_once(
    nightly: tuple[World, pd.DataFrame], mlflow_url: str
) -> None:
    world, _ = nightly
    assert evaluate.main(world.options(mlflow_url, LATER - timedelta(days=20), "--days", "28")) == 0
    (entry,) = history.latest(world.models, Evaluation, 9)
    assert (entry.leads, entry.model_version) == (700, batch.load_bundle(world.models).version)
    metrics = MlflowClient(mlflow_url).get_run(entry.mlflow_run_id).data.metrics
    assert not [name for name in metrics if name.startswith("latency_ms")]  # nobody waited for an answer


def test_leads_that_are_scored_each_night_are_watched_for_drift_and_trained_on_once(
    nightly: tuple[World, pd.DataFrame],
) -> None:
    world, rows = nightly
    frame, served = rows[[f.name for f in forge.SCHEMA.features]], batch.load_bundle(world.models)
    loop = Loop(load_source(world.source), world.models, world.predictions, world.leads, "", datetime.now(UTC), print)
    window = recent(loop, "duckdb", served, days(7), 100)
    assert (window.leads, window.left_out) == (700, ())
    assert_frame_equal(in_order(window.sample), in_order(frame))
    rows.assign(opted_in=rows["opted_in"].astype("boolean")).to_csv(world.root / "own.csv", index=False)
    learnt = matured(load_source(world.source), forge.SCHEMA, world.predictions, world.leads, LATER)
    theirs, ids = learnt.place == 0, learnt.leads.ids
    assert (learnt.own_rows, int(theirs.sum())) == (700, 700)
    assert ids is not None
    by_id = learnt.leads.frame[theirs].set_axis(ids[theirs]).loc[[f"C-{i}" for i in range(700)]]
    assert_frame_equal(by_id.reset_index(drop=True), frame)


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(list(frame.columns)).reset_index(drop=True)


def test_forget_takes_a_lead_out_of_raw_records_of_batch(
    served: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = Places(str(tmp_path))
    places.leads.create("may.csv", numbered(50))
    batch.run(job(served, places))
    arguments = ["--lead-id", "L-0007", "--leads", str(tmp_path / "leads"), "--predictions", places.records.url]
    assert forget.main(arguments) == 0
    capsys.readouterr()
    assert set(leads_of(places.records)) == {f"L-{i:04d}" for i in range(50)} - {"L-0007"}
    compact(places.records, places.leads, LATER)
    assert set(leads_of(places.records)) == {f"L-{i:04d}" for i in range(50)} - {"L-0007"}


@pytest.mark.parametrize(
    ("options", "variable", "written"),
    [([], True, 3), ([], False, 0), (["--records", "none"], True, 0), (["--records", "{there}"], False, 3)],
)
def test_records_are_written_where_the_option_or_the_variable_says(
    options: list[str],
    variable: bool,
    written: int,
    models: Folder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = Places(str(tmp_path))
    places.leads.create("may.csv", CSV)
    monkeypatch.delenv("LEADSCORING_PREDICTIONS_URL", raising=False)
    if variable:
        monkeypatch.setenv("LEADSCORING_PREDICTIONS_URL", places.records.url)
    given = [option.format(there=places.records.url) for option in options]
    arguments = ["--models", models.url, "--input", places.leads.url, "--out", places.out.url, *given]
    assert batch.main(arguments) == 0
    assert len(recorded(places.records)) == written
    assert ("--records" in capsys.readouterr().out) == (not options and not variable)


def test_a_file_that_a_person_scores_is_recorded_once_and_only_where_that_is_asked_for(
    models: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Folder(tmp_path / "predictions")
    monkeypatch.setenv("LEADSCORING_PREDICTIONS_URL", storage.url)
    (tmp_path / "may.csv").write_bytes(CSV)
    arguments = [str(tmp_path / "may.csv"), "--out", str(tmp_path / "scores.csv"), "--models", models.url]
    assert score.main(arguments) == 0
    assert recorded(storage) == []
    for _ in range(2):
        assert score.main([*arguments, "--records", storage.url]) == 0
    served = batch.load_bundle(models)
    assert [row["lead_id"] for row in recorded(storage)] == ["a", "b", "c"]
    decider = Decider(served.manifest)
    assert [row["decision"] for row in recorded(storage)] == [
        decider.decision(row["score"]) for row in recorded(storage)
    ]
