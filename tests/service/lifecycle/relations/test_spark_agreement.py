"""DuckDB, Spark and the row-wise reference say the same of every relation: with ties, weights and missing values."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest
from pyarrow import parquet

from service.lifecycle.relations import duck, spark
from service.lifecycle.relations.cells import CELL
from service.lifecycle.relations.spark_batch import SparkPlace
from service.storage import Folder
from tests.service.lifecycle.relations import row_wise
from tests.service.lifecycle.relations.agreement import (
    LABEL_COLUMNS,
    SINCE,
    UNTIL,
    compared,
    differences,
    everything,
    local_dataproc,
    own_leads,
    write_world,
)

_CELL, _SUMS = CELL.split(", "), ["leads", "score_sum", "least", "most", "near", "contacts"]
COLUMNS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "first_scores": (["lead_key"], ["request_id", "time", "score"]),
    "record_counts": (["channel"], ["records", "leads"]),
    "outcomes": (["lead_key"], ["state", "time"]),
    "contacts": (["lead_key"], ["time"]),
    "scored_outcomes": (["lead_key"], LABEL_COLUMNS),
    "outcome_counts": (["state"], ["leads"]),
    "contradictions": (["row"], ["lead_key"]),
    "labelled": (["lead_key"], ["target", "weight"]),
    "judged_leads": (["lead_key"], ["explored", "target", "weight"]),
    "label_counts": (["scored"], ["labelled", "lost", "without_outcome", "known", "scored_after"]),
    "selection_counts": (
        ["is_chosen", "contacted", "explored", "score_bin", "is_known", "is_labelled"],
        ["leads", "converted", "score_sum", "weight_sum", "square_sum", "weighted_converted"],
    ),
    "latencies": (["model_version", "step"], ["leads", "milliseconds", "most"]),
    "exploring": (["model_version"], ["since", "until"]),
    "cells": (["model_version", "band", *_CELL], _SUMS),
    "cuts": (["model_version", "day"], ["cut", "share"]),
    "segment_choices": (["schema_number", "feature", "cell", "choice"], []),
    "large_segments": (["model_version", "feature", "value"], []),
    "segment_cells": (["model_version", "feature", "value", *_CELL], _SUMS),
    "chosen": (["place"], []),
    "versions": (["model_version"], ["leads"]),
    "feature_counts": (["feature", "place"], ["leads"]),
    "rescored": (["lead_key"], [*row_wise.INPUTS]),
    "sample": (["lead_id"], ["stratum"]),
    "sample_newest": (["tie"], ["time", "target"]),
    "sample_hours": (["hour", "target"], ["leads"]),
}
"""By relation what tells its rows apart, and what they say."""


class World(NamedTuple):
    """Random records and outcomes, and what the row-wise reference says of them."""

    predictions: Folder
    said: pa.Table
    wanted: dict[str, row_wise.Rows]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    predictions = Folder(tmp_path_factory.mktemp("predictions"))
    said = write_world(predictions, 3_000, seed=3)
    records, seen = (
        pa.concat_tables(parquet.read_table(io.BytesIO(_data(predictions, key))) for key in predictions.keys(prefix))
        for prefix in ("predictions/", "records/first/")
    )
    own = {*own_leads(said)["lead_key"].to_pylist()}
    return World(predictions, said, row_wise.everything(records, seen, said, own))


@pytest.fixture(scope="module")
def on_duckdb(world: World) -> dict[str, pa.Table]:
    with duck.opened(world.predictions, SINCE, UNTIL) as engine:
        return everything(engine, world.said)


@pytest.fixture(scope="module")
def on_spark(world: World, spark_place: SparkPlace) -> dict[str, pa.Table]:
    with spark.opened(world.predictions, SINCE, UNTIL, "evaluate", lambda _: None, spark_place) as engine:
        return everything(engine, world.said)


def _data(predictions: Folder, key: str) -> bytes:
    stored = predictions.read(key)
    assert stored is not None
    return stored.data


def unlike(found: dict[str, pa.Table], wanted: dict[str, row_wise.Rows]) -> list[str]:
    """The relations whose rows are not those of the reference."""
    names = []
    for name, (keys, values) in COLUMNS.items():
        rows = found[name].to_pylist()
        mine = {tuple(row[key] for key in keys): tuple(row[value] for value in values) for row in rows}
        same = len(mine) == len(rows) and mine.keys() == wanted[name].keys()
        if not (same and rows and all(_near(mine[key], wanted[name][key]) for key in mine)):
            names.append(name)
    return names


def _near(found: tuple[object, ...], wanted: tuple[object, ...]) -> bool:
    """Floats to 12 digits: sums depend on the order of their terms."""
    return all(
        a == pytest.approx(b, rel=1e-12) if isinstance(b, float) else a == b for a, b in zip(found, wanted, strict=True)
    )


def test_duckdb_says_what_the_row_wise_reference_says(world: World, on_duckdb: dict[str, pa.Table]) -> None:
    assert {*COLUMNS} == {*world.wanted} == {*on_duckdb}
    assert unlike(on_duckdb, world.wanted) == []


@pytest.mark.system
def test_spark_says_what_the_row_wise_reference_says(world: World, on_spark: dict[str, pa.Table]) -> None:
    assert unlike(on_spark, world.wanted) == []


@pytest.mark.system
def test_every_relation_has_the_same_rows_on_both(
    on_duckdb: dict[str, pa.Table], on_spark: dict[str, pa.Table]
) -> None:
    assert {name: differences(on_duckdb[name], on_spark[name]) for name in COLUMNS} == {name: [] for name in COLUMNS}


@pytest.mark.system
@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(12))
def test_small_worlds_have_the_same_rows_on_both(tmp_path: Path, spark_place: SparkPlace, seed: int) -> None:
    predictions = Folder(tmp_path)
    said = write_world(predictions, 2 ** (seed + 1), seed)
    found = [line for line in compared(predictions, said, spark_place) if not line.endswith("no rows")]
    assert found == []


@pytest.mark.system
@pytest.mark.nightly
@pytest.mark.parametrize(("rows", "in_short"), [(1_000_000, False), (10_000_000, True)])
def test_millions_of_records_have_the_same_rows_on_both(tmp_path: Path, rows: int, in_short: bool) -> None:
    predictions = Folder(tmp_path / "predictions")
    said = write_world(predictions, rows, seed=1)
    with local_dataproc(tmp_path, small=False) as (place, _):
        assert list(compared(predictions, said, place, in_short)) == []
