"""The world brings leads block after block, and their outcomes late and in pieces."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.lifecycle.backtest.world import History, build, lead_id
from service.lifecycle.data.leads import load, read_raw
from service.lifecycle.data.sample import Sample
from service.lifecycle.data.source import Source, SourceError, load_source
from service.lifecycle.evaluation.outcomes import judge, read_outcomes
from service.lifecycle.evaluation.scored import read_scored
from service.lifecycle.training.golden import as_received
from service.model import bundle
from service.model.schema import Value
from service.storage import Folder
from tests.facts import stating
from tests.service.forge import SCHEMA, release, rows

EXAMPLES = Path(__file__).parents[4] / "service" / "examples"


def sample(count: int = 1_000) -> Source:
    return load_source(EXAMPLES / "sample.toml").model_copy(update={"sample": Sample(rows=count)})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> History:
    return build(sample(1_050), tmp_path_factory.mktemp("world"), 400, 200)


def test_the_sources_file_ends_where_the_first_block_begins(world: History) -> None:
    own = load(world.source)
    assert len(own.target) == 400
    assert own.schema == world.leads.schema
    assert own.frame.equals(world.leads.frame.iloc[:400])
    assert "lead_id" not in own.frame.columns


def test_a_column_that_comes_to_life_only_later_is_none_of_the_schema(tmp_path: Path) -> None:
    cells = read_raw(sample()).cells
    later = pa.array([0.0] * 400 + [float(i) for i in range(600)])
    pq.write_table(cells.append_column("later", later), tmp_path / "leads.parquet")
    source = sample().model_copy(update={"sample": None, "path": str(tmp_path / "leads.parquet")})
    assert "later" not in build(source, tmp_path / "world", 400, 200).leads.frame.columns


def test_blocks_follow_each_other_and_the_last_takes_what_is_left(world: History) -> None:
    assert [(block.start, block.stop) for block in world.blocks] == [(400, 600), (600, 800), (800, 1050)]
    assert world.begins(1) - world.begins(0) == world.period


def test_rows_that_are_not_in_time_order_are_put_so(tmp_path: Path) -> None:
    source = sample()
    straight = build(source, tmp_path / "a", 400, 200)
    cells = read_raw(source).cells
    pq.write_table(cells.take(np.random.default_rng(0).permutation(len(cells))), tmp_path / "mixed.parquet")
    mixed = source.model_copy(update={"sample": None, "path": str(tmp_path / "mixed.parquet")})
    assert build(mixed, tmp_path / "b", 400, 200).leads.frame.equals(straight.leads.frame)


def test_a_history_of_wins_alone_is_replayed_with_the_losses_that_the_source_states(tmp_path: Path) -> None:
    source = sample(1_300)
    frame = read_raw(source).cells.to_pandas()
    wins = frame["converted"].map({True: "Won", False: None})
    frame.assign(converted=wins).to_parquet(tmp_path / "leads.parquet")
    stated = {"sample": None, "path": str(tmp_path / "leads.parquet"), "positive": ("won",), "absent_after_days": 7}
    world = build(source.model_copy(update=stated), tmp_path / "world", 400, 200)
    times = pd.to_datetime(frame["created_at"], utc=True)
    old = times <= times.max() - pd.Timedelta(days=7)
    assert world.leads.target.tolist() == frame["converted"][old].astype(int).tolist()
    leads = Folder(tmp_path / "leads")
    for block in range(3):
        world.deliver(block, leads)
    told = read_outcomes(world.source, world.leads.outcomes, leads)
    assert not told.rejected
    assert set(told.converted.values()) == {True, False}


def test_an_outcome_is_judged_two_blocks_later_and_not_before(world: History, tmp_path: Path) -> None:
    leads, predictions, models = (Folder(tmp_path / name) for name in ("leads", "predictions", "models"))
    served = bundle.load(models, release(models))
    world = History(world.source, world.leads, _inputs(1_050), world.blocks, world.period)
    judged, known = [], []
    for block in range(5):
        world.deliver(block, leads)
        now = world.begins(block)
        outcomes = read_outcomes(world.source, world.leads.outcomes, leads)
        seen = judge(read_scored(predictions, world.begins(0), now), outcomes, now, world.period)
        assert seen.without_outcome == 0
        known.append(len(outcomes.converted))
        judged.append(len(seen.target))
        if block < 3:
            world.score(block, served, None, predictions)
    assert judged == [0, 0, 200, 400, 650]
    assert known == [0, 100, 300, 525, 650]  # of the block just over the first half is there, and does not count yet
    assert seen.scored.table["lead_id"].tolist() == [lead_id(row) for row in range(400, 1_050)]
    assert np.array_equal(seen.target, world.leads.target[400:])


def _inputs(count: int) -> list[dict[str, Value]]:
    return [as_received(SCHEMA, row) for row in rows(count)[0].to_dict("records")]


def test_too_few_leads_are_refused_with_the_number_that_is_needed(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=stating("1,000 leads", "row 800", "blocks of 100", "1,100")):
        build(sample(), tmp_path, 800, 100)


def test_a_block_with_outcomes_of_one_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=stating("block", "rows", "same outcome", "--block")):
        build(sample(), tmp_path, 400, 5)


def test_a_source_without_time_order_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="states no time order"):
        build(sample().model_copy(update={"time_column": None}), tmp_path, 400, 200)
