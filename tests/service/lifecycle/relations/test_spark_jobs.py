"""Jobs whose relations run as batches: DuckDB's results in few batches, and nothing left of a failed one."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from google.cloud.dataproc_v1 import Batch
from pyarrow import parquet

from service import history
from service.history import Decision, DriftCheck, Estimate, Evaluation
from service.lifecycle import drift, evaluate, retrain
from service.lifecycle.promotion.gate import Rules
from service.lifecycle.relations import engines, spark_batch
from service.lifecycle.relations.relation import Relation
from service.lifecycle.relations.spark_batch import VARIABLES, SparkPlace
from service.storage import Folder
from tests.facts import states
from tests.service import forge
from tests.service.dataproc_double import Dataproc
from tests.service.lifecycle import loop
from tests.service.lifecycle.records import NOON
from tests.service.lifecycle.world import World, days

SPARK = ("--engine", "spark")
NO_SERVER = "http://127.0.0.1:9"


def told(place: SparkPlace, patched: pytest.MonkeyPatch) -> None:
    """Tell jobs of the place, as their containers are told."""
    for field, variable in VARIABLES.items():
        patched.setenv(variable, getattr(place, field))


@pytest.fixture
def dataproc(local_dataproc: tuple[SparkPlace, Dataproc], monkeypatch: pytest.MonkeyPatch) -> Iterator[Dataproc]:
    """The double whose batches run on this machine's Spark, with no batch yet; none leaves anything behind."""
    place, double = local_dataproc
    told(place, monkeypatch)
    double.batches.clear()
    yield double
    assert not [*Folder(Path(place.staging)).keys("")], "what was staged names leads"


@pytest.fixture
def lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dataproc]:
    """A double whose batches do nothing, and succeed."""
    place = SparkPlace("projects/acme/locations/europe-west1", str(tmp_path / "staging"), "spark", "spark@acme")
    double = Dataproc()
    told(place, monkeypatch)
    monkeypatch.setenv("LEADSCORING_DATAPROC_EMULATOR", double.endpoint)
    monkeypatch.setattr(spark_batch, "POLL_S", 0.01)
    yield double
    double.close()


def near(figures: dict[str, Estimate]) -> dict[str, object]:
    """To nine digits: the last bits of a sum depend on the order of its terms."""
    return {name: pytest.approx((e.value, e.low, e.high), rel=1e-9) for name, e in figures.items()}


def plain(figures: dict[str, Estimate]) -> dict[str, object]:
    return {name: (e.value, e.low, e.high) for name, e in figures.items()}


def fail(_: Batch) -> None:
    raise RuntimeError("relation first_scores: no memory is left")


@pytest.mark.system
def test_an_evaluation_is_one_batch(tmp_path: Path, mlflow_url: str, dataproc: Dataproc) -> None:
    (tmp_path / "spark").mkdir()
    world = World(tmp_path / "spark", "evaluated-on-spark")
    outcomes = world.score(forge.release(world.models), NOON - days(36), NOON - days(31), 800)
    world.tell(outcomes, share=0.75)
    shutil.copytree(world.root, tmp_path / "duckdb")
    copy = World(tmp_path / "duckdb", "evaluated-on-duckdb")
    assert evaluate.main(world.options(mlflow_url, NOON, *SPARK)) == 0
    assert len(dataproc.batches) == 1
    assert evaluate.main(copy.options(mlflow_url, NOON)) == 0
    there, here = (history.latest(each.models, Evaluation)[-1] for each in (world, copy))
    assert (there.leads, there.without_outcome, there.bands) == (600, 200, here.bands)
    assert plain(there.figures) == near(here.figures)
    assert there.business == pytest.approx(here.business)


@pytest.mark.system
def test_drift_of_a_thin_week_is_two_batches(tmp_path: Path, mlflow_url: str, dataproc: Dataproc) -> None:
    (tmp_path / "spark").mkdir()
    world = World(tmp_path / "spark", "drift-on-spark")
    pointer = forge.release(world.models)
    world.score(pointer, NOON - days(3), NOON, 90, seed=5)
    world.score(pointer, NOON - days(26), NOON - days(24), 500, seed=6)
    shutil.copytree(world.root, tmp_path / "duckdb")
    copy = World(tmp_path / "duckdb", "drift-on-duckdb")
    assert drift.main(world.options(mlflow_url, NOON, *SPARK)) == 0
    assert len(dataproc.batches) == 2
    assert drift.main(copy.options(mlflow_url, NOON)) == 0
    there, here = (history.latest(each.models, DriftCheck)[-1] for each in (world, copy))
    assert (there.leads, there.since) == (590, NOON - days(28))
    assert msgspec.structs.replace(there, mlflow_run_id="") == msgspec.structs.replace(here, mlflow_run_id="")


@pytest.mark.system
def test_a_retraining_is_two_batches_and_decides_nothing_where_one_fails(
    tmp_path: Path, mlflow_url: str, dataproc: Dataproc, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = loop.first_champion(tmp_path, "retrained-on-spark", mlflow_url)
    monkeypatch.setattr(retrain, "Rules", lambda: Rules(gain=0.5, failed=50))  # whatever comes is refused
    there, here = (
        loop.make(champion, str(tmp_path / engine), mlflow_url, tmp_path / "metrics", changed=False)
        for engine in ("spark", "duckdb")
    )
    with monkeypatch.context() as patched:
        patched.setattr(dataproc, "work", fail)
        assert retrain.main(there.arguments("--trigger", "hand", *SPARK)) == 1
    assert not [each for each in history.latest(there.models, Decision, 99) if each.author == retrain.AUTHOR]
    dataproc.batches.clear()
    for made, engine in ((there, "spark"), (here, "duckdb")):
        assert retrain.main(made.arguments("--trigger", "hand", "--engine", engine)) == 0
    assert len(dataproc.batches) == 2
    first, second = (history.latest(made.models, Decision)[-1] for made in (there, here))
    assert (first.action, first.reason) == ("refused", second.reason)
    assert plain(first.figures) == near(second.figures)


def written(world: World) -> set[Path]:
    """All files but the audit record of what is served, which every job completes, and locks."""
    files = (path.relative_to(world.root) for path in world.root.rglob("*") if path.is_file() and path.name != ".lock")
    return {path for path in files if path.parts[:3] != ("models", "history", "decisions")}


def scored(tmp_path: Path) -> World:
    """A world with leads of last week and of last month, outcomes and a broken record."""
    world = World(tmp_path, "failed")
    pointer = forge.release(world.models)
    world.score(pointer, NOON - days(6), NOON, 150, seed=5)
    world.tell(world.score(pointer, NOON - days(36), NOON - days(31), 150, seed=6))
    folder = next((tmp_path / "predictions").rglob("*.gz")).parent
    (folder / "broken.jsonl.gz").write_bytes(b"broken")
    return world


@pytest.mark.parametrize("job", [drift, evaluate])
@pytest.mark.parametrize("failing", [True, False])
def test_a_batch_that_fails_or_loses_its_results_fails_the_job_and_nothing_is_written(
    tmp_path: Path, lost: Dataproc, job: object, failing: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    world = scored(tmp_path)
    if failing:
        lost.work = fail
    before = written(world)
    assert job.main(world.options(NO_SERVER, NOON, *SPARK)) == 1  # type: ignore[attr-defined]
    said = ("failed", "first_scores", "no memory is left") if failing else ("wrote no result",)
    states(capsys.readouterr().err.splitlines(), "Spark", *said)
    assert len(lost.batches) == 1
    assert written(world) == before


def test_what_one_batch_keeps_the_next_one_reads_and_does_not_compute_again(tmp_path: Path, lost: Dataproc) -> None:
    jobs = []

    def work(batch: Batch) -> None:
        jobs.append(json.loads(Path(batch.pyspark_batch.args[0]).read_text()))
        kept = [relation["kept"] for relation in jobs[-1]["relations"] if relation["kept"]]
        for folder in map(Path, [*jobs[-1]["results"].values(), *kept]):
            folder.mkdir(parents=True)
            rows = pa.table({"lead_key": ["a"], "n": pa.array([1], pa.int32())})
            parquet.write_table(rows, folder / "part-0.parquet")
            (folder / "_SUCCESS").touch()

    lost.work = work
    with engines.opened("spark", Folder(tmp_path), NOON, NOON + days(1), "retrain", lambda _: None) as engine:
        engine.define([Relation("kept", "select lead_key from records", kept=True)])
        engine.define([Relation("first", "select * from kept")])
        engine.results(["first"])
        engine.define([Relation("second", "select * from kept where lead_key <> ''")])
        assert engine.results(["second"])["second"]["lead_key"].to_pylist() == ["a"]
    first, second = jobs
    (folder,) = (relation["kept"] for relation in first["relations"] if relation["name"] == "kept")
    assert [relation["name"] for relation in second["relations"]] == ["second"]
    (view,) = second["views"]
    assert view == {"name": "kept", "columns": [["lead_key", "string"], ["n", "int"]], "files": view["files"]}
    assert [str(Path(file).parent) for file in view["files"]] == [folder]
