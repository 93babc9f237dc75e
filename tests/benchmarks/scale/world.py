"""A world of any number of records, made column by column: `python -m tests.benchmarks.scale.world FOLDER RECORDS`.

Four weeks of raw objects as the service and a nightly batch leave them, a model that scored them, a file of outcomes
each week, and one with corrections. Of the records a fifth are of leads that were scored before, three tenths came by
batch, 2 % are of a shadow model, and one in 10,000 is a trial. The model is published as two versions, of which the
second answered the later leads. Leads take their inputs from POOL generated ones; a lead converts with the probability
that its score says.
"""

import argparse
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from service import records
from service.lifecycle.data.leads import load
from service.lifecycle.data.sample import Sample
from service.lifecycle.data.source import load_source
from service.lifecycle.promotion.challenger import score
from service.lifecycle.relations.columns import FIXED, INPUT_TYPES, InputKind, input_column
from service.lifecycle.relations.lead_keys import lead_keys
from service.lifecycle.relations.relation import literal, quoted
from service.model import bundle
from service.model.bundle import Bundle
from service.storage import Folder
from tests.benchmarks.scale.places import DAYS, MATURITY, Places
from tests.benchmarks.trained import train

POOL = 200_000
NEW, BATCH, SHADOW, TRIAL = 0.8, 0.3, 0.02, 1e-4
"""Shares of the records."""
KNOWN, CORRECTED = 0.95, 0.001
"""Shares of the leads: those with an outcome, and those of which a later file says the contrary."""
PER_FILE = 50_000
SOURCE = f"""
name = "bench"
id_column = "lead_id"
time_column = "created_at"
target_column = "converted"
positive = true
leaks = ["contract_value"]
metric = "profit"
maturity_days = {MATURITY}
[sample]
rows = 8_000
[economics]
conversion_value = 400
contact_cost = 25
contacts_per_1000_leads = 300
"""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """Inputs to draw from, as columns of records, and the score of each."""

    inputs: pa.Table
    scores: npt.NDArray[np.float64]


def make(folder: Path, count: int, seed: int = 1, pool: int = POOL) -> Places:
    """Make a world of so many records in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    served, _, _ = train(folder)
    # After the training: of leads that the model has seen, retraining judges none.
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    world = Places(folder, today + timedelta(days=1))
    (folder / "world.json").write_text(json.dumps({"since": world.since.isoformat(), "records": count}))
    world.source.write_text(SOURCE)
    older = _published_again(Folder(folder / "models"), served)
    made, drawn = pool_of(served, world, pool, seed), np.random.default_rng(seed)
    leads, ends = 0, list[int]()
    with duckdb.connect() as connection:
        for day in range(DAYS):
            rows = count * (day + 1) // DAYS - count * day // DAYS
            version = served.version if day >= DAYS // 2 else older
            table, leads = _day(world, served, made, version, day, rows, leads, drawn)
            _write_day(world, connection, table, day)
            ends.append(leads)
    _write_outcomes(world, made, ends, np.random.default_rng(seed + 1))
    return world


def pool_of(served: Bundle, world: Places, rows: int, seed: int) -> Pool:
    """Generated leads and the model's scores of them."""
    schema, source = served.manifest.lead_schema, load_source(world.source)
    leads = load(source.model_copy(update={"sample": Sample(rows=rows, seed=seed + 11)}), schema)
    columns = {}
    for feature in schema.features:
        values = leads.frame[feature.name].to_numpy()
        kind: InputKind = "text" if feature.kind == "category" else feature.kind
        missing = values == "" if kind == "text" else np.isnan(values.astype(np.float64))
        column = pa.array(values.astype(bool) if kind == "boolean" else values, INPUT_TYPES[kind], mask=missing)
        columns[input_column(kind, feature.name)] = column
    return Pool(pa.table(columns), score(served, leads.frame))


def drawn_from(leads: Numbers, pool: Pool) -> Numbers:
    """The place in the pool of each lead: always the same one."""
    return (leads * 2_654_435_761) % len(pool.scores)


def ids(leads: Numbers) -> pa.Array:
    """The ids of these leads."""
    digits = pc.utf8_lpad(pc.cast(pa.array(leads), pa.string()), 9, "0")
    return pc.binary_join_element_wise("K", digits, "-")


def _published_again(models: Folder, served: Bundle) -> str:
    """Publish the bundle as another version too; return that version."""
    version = served.manifest.version

    def stored(name: str) -> bytes:
        found = models.read(f"models/{version}/{name}")
        assert found is not None
        return found.data

    older = served.manifest.model_copy(update={"version": f"{version[:-1]}{'0' if version[-1] != '0' else '1'}"})
    golden = bundle.GOLDEN_ROWS.validate_json(stored(bundle.GOLDEN))
    bundle.publish(models, older, stored(bundle.MODEL), golden, stored(bundle.CARD).decode(), served.reference)
    return older.version


def _hex(drawn: np.random.Generator, rows: int) -> pa.Array:
    return pa.array(np.frombuffer(binascii.hexlify(drawn.bytes(8 * rows)), "S16")).cast(pa.string())


def _day(
    world: Places,
    served: Bundle,
    pool: Pool,
    version: str,
    day: int,
    rows: int,
    leads: int,
    drawn: np.random.Generator,
) -> tuple[pa.Table, int]:
    """A day's records in the order of time, and how many leads there are by its end. `leads` there were before."""
    new = drawn.random(rows) < NEW
    if not leads:
        new[:1] = True
    known = leads + np.cumsum(new)
    lead = np.where(new, known - 1, (drawn.random(rows) * known).astype(np.int64))
    place = drawn_from(lead, pool)
    microseconds = np.sort(drawn.integers(0, 86_400_000_000, rows)) + int(world.since.timestamp() * 1e6)
    # Distinct, as those of distinct leads are.
    scores = pool.scores[place] * (1 - 1e-9 * drawn.random(rows))
    threshold, bands = served.manifest.threshold, served.manifest.bands
    band = np.argmax([scores >= each.min_score for each in bands], axis=0)
    batch, trial = drawn.random(rows) < BATCH, drawn.random(rows) < TRIAL
    shadow = drawn.random(rows) < SHADOW
    hexes = _hex(drawn, rows)
    lead_id = pc.if_else(pa.array(trial), pc.binary_join_element_wise("page", hexes, "-"), ids(lead))
    channel = np.where(trial, 1, np.where(batch, 2, 0))
    columns = {
        "lead_key": lead_keys(lead_id),
        "lead_id": lead_id,
        "time": pa.array(microseconds + day * 86_400_000_000).cast(pa.timestamp("us", "UTC")),
        "request_id": hexes,
        "model_version": pa.array([version]).take(pa.array(np.zeros(rows, np.int64))),
        "score": pa.array(scores),
        "decision": pa.array(["skip", "contact"]).take(pa.array((scores >= threshold).astype(np.int64))),
        "band": pa.array([each.name for each in bands]).take(pa.array(band)),
        "latency_ms": pa.array(drawn.lognormal(1, 0.7, rows)),
        "source": pa.array(["bench"]).take(pa.array(np.zeros(rows, np.int64))),
        "channel": pa.array(["api", "trial", "batch"]).take(pa.array(channel)),
        "line": pa.array(np.full(rows, threshold)),
        "role": pa.array(["champion", "shadow"]).take(pa.array(shadow.astype(np.int64))),
        "policy": pa.nulls(rows, pa.string()),
        "probability": pa.nulls(rows, pa.float64()),
    }
    table = pa.table(columns).cast(FIXED)
    for name, column in zip(pool.inputs.column_names, pool.inputs.take(pa.array(place)).columns, strict=True):
        table = table.append_column(name, column)
    return table, int(known[-1]) if rows else leads


def _write_day(world: Places, connection: duckdb.DuckDBPyConnection, table: pa.Table, day: int) -> None:
    """Write what batch scored as one object of the night, the rest as an object each hour, at most PER_FILE in one."""
    root, begun = world.folder / "predictions", world.since + timedelta(days=day)
    batch = pc.equal(table["channel"], "batch")
    nightly = root / f"{records.PREFIX}dt={begun:%Y-%m-%d}/hh=02/batch-{begun:%Y%m%d}.parquet"
    nightly.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table.filter(batch), nightly, compression="zstd", row_group_size=PER_FILE)
    served = table.filter(pc.invert(batch))
    served = served.set_column(2, "time", served["time"].cast(pa.timestamp("us")))
    hours = pc.hour(served["time"]).to_numpy()
    ends = np.searchsorted(hours, np.arange(25))
    for hour, (start, end) in enumerate(pairwise(ends)):
        for number, first in enumerate(range(int(start), int(end), PER_FILE)):
            part = served.slice(first, min(PER_FILE, int(end) - first))
            file = root / records.object_key(f"{begun + timedelta(hours=hour):%Y%m%dT%H%M%SZ}-i{number}")
            file.parent.mkdir(parents=True, exist_ok=True)
            connection.register("part", part)
            connection.execute(_lines(part, file))


def _lines(part: pa.Table, file: Path) -> str:
    """The statement that writes the records as the service's JSON lines: what is missing is left out."""
    own = ["request_id", "lead_id", "model_version", "score", "decision", "band", "latency_ms"]
    own += ["source", "channel", "line", "role"]
    inputs = ", ".join(f"{literal(name.partition(':')[2])}: {quoted(name)}" for name in part.column_names[len(FIXED) :])
    every = ["strftime(time, '%Y-%m-%dT%H:%M:%S.%fZ') as time", *own]
    every += [
        f"json_merge_patch('{{}}', to_json({{{inputs}}})) as inputs",
        f"{records.RECORD_VERSION} as record_version",
    ]
    return f"copy (select {', '.join(every)} from part) to {literal(str(file))} (format json, compression gzip)"


def _write_outcomes(world: Places, pool: Pool, ends: list[int], drawn: np.random.Generator) -> None:
    """A file for each week's new leads, and the corrections."""
    folder = world.folder / "leads/outcomes"
    folder.mkdir(parents=True)
    corrected = list[pa.Table]()
    for week, (start, end) in enumerate(_weeks(ends), 1):
        leads = np.arange(start, end)
        converted = drawn.random(len(leads)) < pool.scores[drawn_from(leads, pool)]
        told = drawn.random(len(leads)) < KNOWN
        table = pa.table({"lead_id": ids(leads[told]), "converted": pa.array(converted[told])})
        arrow_csv.write_csv(table, folder / f"crm-{week}.csv")
        other = drawn.random(len(leads)) < CORRECTED
        corrected.append(pa.table({"lead_id": ids(leads[other]), "converted": pa.array(~converted[other])}))
    arrow_csv.write_csv(pa.concat_tables(corrected), folder / "crm-corrections.csv")


def _weeks(ends: list[int]) -> Iterator[tuple[int, int]]:
    """The first and the last lead of each week, of those known at the end of each day."""
    start = 0
    for day in range(6, len(ends), 7):
        yield start, ends[day]
        start = ends[day]


def main() -> None:
    """Make it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("records", type=int)
    options = parser.parse_args()
    make(options.folder, options.records)


if __name__ == "__main__":
    main()
