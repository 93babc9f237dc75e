"""The world has what the jobs meet in production, and each job can be run in it."""

from collections import Counter
from datetime import timedelta

import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv

from service.lifecycle import compact
from service.lifecycle.relations import duck
from service.lifecycle.relations.columns import FIXED
from service.model import bundle
from service.records import read_object
from service.storage import open_storage
from tests.benchmarks.scale import world
from tests.benchmarks.scale.places import DAYS, Places

RECORDS = 4_000


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    return world.make(tmp_path_factory.mktemp("world") / "w", RECORDS, pool=500)


def rows(places: Places) -> pa.Table:
    with duck.opened(open_storage(places.url("predictions")), places.since, places.until) as engine:
        return engine.results(["records"])["records"]


@pytest.mark.nightly
@pytest.mark.filterwarnings("default")  # MLflow's, about its own type hints
def test_a_world_has_all_its_records_and_compaction_keeps_them(places: Places) -> None:
    predictions, leads = (open_storage(places.url(name)) for name in ("predictions", "leads"))
    raw = [key for key in predictions.keys("predictions/") if key.endswith(".jsonl.gz")]
    stored = predictions.read(raw[0])
    assert stored is not None
    assert None not in read_object(stored.data)[0].inputs.values()  # as the service leaves missing ones out
    before = rows(places)
    assert before.num_rows == RECORDS
    done = compact.compact(predictions, leads, places.now)
    assert (done.records, done.unreadable) == (RECORDS, {})
    order = [("request_id", "ascending")]
    names = sorted({*before.column_names})
    assert rows(places).select(names).sort_by(order).equals(before.select(names).sort_by(order))


@pytest.mark.nightly
@pytest.mark.filterwarnings("default")  # MLflow's, about its own type hints
def test_a_world_has_what_the_jobs_meet(places: Places) -> None:
    found = rows(places)
    shares = {name: Counter(found[name].to_pylist()) for name in ("model_version", "channel", "role", "band")}
    assert {name: len(counts) >= 2 for name, counts in shares.items()} == dict.fromkeys(shares, True)
    for version in shares["model_version"]:
        assert bundle.read_manifest(open_storage(places.url("models")), version).version == version
    assert len(set(found["lead_key"].to_pylist())) == pytest.approx(world.NEW * RECORDS, rel=0.05)
    assert any(found[name].null_count for name in found.column_names[len(FIXED) :])
    days = {time.date() for time in found["time"].to_pylist()}
    assert days == {(places.since + timedelta(days=day)).date() for day in range(DAYS)}
    files = sorted((places.folder / "leads/outcomes").iterdir())
    assert len(files) == 5
    told = pa.concat_tables([arrow_csv.read_csv(file) for file in files[:4]])
    assert told.num_rows == pytest.approx(world.KNOWN * world.NEW * RECORDS, rel=0.05)
    assert 0.05 < sum(told["converted"].to_pylist()) / told.num_rows < 0.25
