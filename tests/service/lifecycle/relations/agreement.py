"""Whether DuckDB and Spark give the same rows of every relation.

`python -m tests.service.lifecycle.relations.agreement ROWS` compares them over so many records.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import compute, parquet

from service.lifecycle.drift_detection import window
from service.lifecycle.relations import cells, duck, outcomes, sample_plan, sampling, spark, spark_batch
from service.lifecycle.relations.columns import FIXED
from service.lifecycle.relations.contacts import CONTACT_ROWS, CONTACTS
from service.lifecycle.relations.earlier_scores import SCHEMA
from service.lifecycle.relations.first_scores import first_scores
from service.lifecycle.relations.lead_keys import lead_keys
from service.lifecycle.relations.relation import Relation, RelationEngine
from service.lifecycle.relations.spark_batch import SparkPlace
from service.model.reference import Categories, Numbers, Reference, ScoreBin
from service.model.schema import Feature, LeadSchema
from service.storage import Folder
from tests.service.dataproc_double import Dataproc
from tests.service.lifecycle.relations.awkward import EXAMPLES
from tests.service.lifecycle.relations.spark_process import local_spark

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
HOURS = 48
UNTIL = SINCE + timedelta(hours=HOURS)
SCHEMAS = {
    version: LeadSchema(
        features=(
            Feature(name="job", kind="category", missing=("unknown",)),
            Feature(name="interests", kind="category", missing=("nothing",), separator=separator),
            Feature(name="ok", kind="boolean"),
            Feature(name="age", kind="number"),
        ),
    )
    for version, separator in (("v1", ";"), ("v2", None))
}
REFERENCE = Reference(
    leads=30,
    contacted=1,
    features=(
        Categories(name="job", values=("clerk", "日本"), counts=(1, 1), others=0, missing=0),
        Categories(name="interests", values=("Newsletter;Webinar", "Webinar"), counts=(1, 1), others=0, missing=0),
        Numbers(name="ok", edges=(0.0,), means=(0, 1), counts=(1, 1), missing=0),
        Numbers(name="age", edges=(30, 45.5, 60), means=(20, 40, 50, 70), counts=(1, 1, 1, 1), missing=0),
    ),
    scores=Numbers(name="score", edges=(), means=(0.5,), counts=(30,), missing=0),
    calibration=(ScoreBin(score=0.5, leads=30, converted=1),),
)
KEPT = (
    *("lead_key", "lead_id", "model_version", "time", "score", "decision", "band", "latency_ms"),
    *("text:job", "text:interests", "boolean:ok", "number:age"),
)
LABEL_COLUMNS = (
    *("target", "contacted", "explored", "probability", "weight"),
    *("is_labelled", "is_lost", "is_known", "is_ripe", "is_after", "is_chosen"),
)
RULES = outcomes.LabelRules(
    UNTIL, timedelta(hours=24), outcomes_of="contacted", contact_log=True, zone="America/New_York"
)
OF_LEADS = ("first_scores", "outcomes", "contacts", "labelled", "judged_leads", "scored_outcomes")
"""Relations with a row for each lead."""
RESULTS = (
    *OF_LEADS,
    *("record_counts", "contradictions", "outcome_counts", "label_counts", "selection_counts"),
    *("cells", "cuts", "latencies", "exploring", "segment_choices", "large_segments", "segment_cells"),
)
BEGINS = (UNTIL - timedelta(hours=1), UNTIL - timedelta(hours=HOURS // 2), SINCE)
LINES = pa.table({"model_version": ["v1", "v2"], "threshold": [0.2, 0.25], "capacity": [100.0, 1000.0]})
SEED = 7
SMALL = 10_000
IN_SHORT = 2_000_000
"""Records above which the command compares digests of what has a row for each lead: all of them are much memory."""
SUMMED = frozenset(
    {
        *("leads", "score_sum", "near", "contacts", "milliseconds", "share"),
        *("weight_sum", "square_sum", "weighted_converted"),
    }
)
"""Columns of sums: their last bits depend on the order of the terms. All other columns are equal to the last bit."""
TOLERANCE = 1e-12


def write_world(predictions: Folder, rows: int, seed: int, per_file: int = 500_000) -> pa.Table:
    """Write random records, with leads scored again, ties and missing values; return outcomes of their leads."""
    random = np.random.default_rng(seed)
    leads = max(1, rows * 4 // 5)
    for number, start in enumerate(range(0, rows, per_file)):
        table = _records(random, min(per_file, rows - start), leads)
        sink = pa.BufferOutputStream()
        parquet.write_table(table, sink)
        predictions.create(
            f"predictions/dt={SINCE:%Y-%m-%d}/hh=00/batch-{number}.parquet", sink.getvalue().to_pybytes()
        )
    seen = _records(random, max(1, rows // 20), leads).select(SCHEMA.names)
    # One row a lead: the table is of first scores. Half of them are of before the window.
    seen = seen.group_by(["lead_key", "lead_id"]).aggregate(
        [(name, "min") for name in SCHEMA.names if name not in ("lead_key", "lead_id")]
    )
    seen = seen.rename_columns([name.removesuffix("_min") for name in seen.column_names]).select(SCHEMA.names)
    earlier = compute.subtract(seen["time"], pa.scalar(timedelta(hours=HOURS // 2), pa.duration("us")))
    seen = seen.set_column(seen.column_names.index("time"), "time", earlier)
    sink = pa.BufferOutputStream()
    parquet.write_table(seen.cast(SCHEMA), sink)
    predictions.create("records/first/part=0.parquet", sink.getvalue().to_pybytes())
    return _outcome_rows(random, rows, leads)


def _records(random: np.random.Generator, rows: int, leads: int) -> pa.Table:
    def chosen(values: Sequence[object], kind: pa.DataType, shares: Sequence[float] | None = None) -> pa.Array:
        return pa.array(values, kind).take(pa.array(random.choice(len(values), rows, p=shares)))

    # Whole seconds make ties of time; few decimals make ties of score.
    seconds = random.integers(0, HOURS * 3600, rows)
    times = pa.array(seconds * 1_000_000 + int(SINCE.timestamp()) * 1_000_000).cast(pa.timestamp("us", "UTC"))
    scores = np.where(random.random(rows) < 0.5, np.round(random.beta(1, 6, rows), 2), random.beta(1, 6, rows))
    scores = np.where(random.random(rows) < 0.02, random.choice([0.0, 1.0, 5e-324, 2.0**-13, 0.5], rows), scores)
    ids = pa.array([f"Lead-{n}é" for n in random.integers(0, leads, rows).tolist()])
    text = pa.string()
    columns = {
        "lead_key": lead_keys(ids),
        "lead_id": ids,
        "time": times,
        "request_id": pa.array([f"{n:x}" for n in random.integers(0, 2**40, rows).tolist()]),
        "model_version": chosen(["v1", "v2"], text),
        "score": pa.array(scores),
        "decision": pa.array(
            np.where(random.random(rows) < 0.05, "ignore", np.where(scores >= 0.2, "contact", "ignore"))
        ),
        "band": chosen(["A", "B", "C"], text),
        "latency_ms": pa.array(random.lognormal(1, 2, rows)),
        "source": chosen(["crm", None], text),
        "channel": chosen(["api", "batch", "trial", None], text, [0.5, 0.3, 0.1, 0.1]),
        "line": pa.array(np.full(rows, 0.2)),
        "role": chosen(["champion", "shadow", None], text, [0.5, 0.1, 0.4]),
        "policy": chosen(["line", "explore", None], text),
        "probability": chosen([1.0, 0.1, 0.001, None], pa.float64(), [0.5, 0.2, 0.1, 0.2]),
        "number:age": pa.array(random.integers(18, 90, rows).astype(float), mask=random.random(rows) < 0.1),
        "text:job": chosen(["clerk", "Ärztin", "日本", "unknown", "", None], text),
        "text:interests": chosen([*EXAMPLES, *["Webinar", "Newsletter", "Webinar;Newsletter", None] * 5], text),
        "boolean:ok": chosen([True, False, None], pa.bool_()),
    }
    table = pa.table(columns)
    return table.cast(pa.schema([*FIXED, *list(table.schema)[len(FIXED) :]]))


def _outcome_rows(random: np.random.Generator, rows: int, leads: int) -> pa.Table:
    ids = pa.array([f"Lead-{n}é" for n in random.integers(0, leads, rows).tolist()])
    files = random.integers(0, 3, rows)
    hours = random.integers(-24, 5, rows) // 5 * 5  # few, for ties
    times = pa.array(hours * 3_600_000_000 + int(UNTIL.timestamp()) * 1_000_000).cast(pa.timestamp("us", "UTC"))
    converted = pa.array(random.random(rows) < 0.2, mask=random.random(rows) < 0.1)
    # Files have times or they have not.
    times = compute.if_else(pa.array(files == 0), pa.scalar(None, times.type), times)
    nothing = pa.nulls(rows, pa.string())
    return pa.table(
        [lead_keys(ids), converted, times, files.astype(np.int32), np.arange(rows), nothing, nothing],
        schema=outcomes.OUTCOME_ROWS,
    )


def contact_rows(said: pa.Table) -> pa.Table:
    """Contacts of two thirds of the leads, some without a time."""
    rows = said.slice(0, len(said) * 2 // 3).select(["lead_key", "time"])
    earlier = compute.subtract(rows["time"], pa.scalar(timedelta(hours=30), pa.duration("us")))
    numbers = {"file_number": np.zeros(len(rows), dtype=np.int32), "row": np.arange(len(rows))}
    return pa.table({"lead_key": rows["lead_key"], "time": earlier} | numbers, schema=CONTACT_ROWS)


def define(engine: RelationEngine, said: pa.Table, complete: datetime | None = None) -> None:
    """Make all relations known."""
    with engine.writing("outcome_rows", said.schema) as write:
        write(said)
    with engine.writing("lines", cells.LINES) as write:
        write(LINES)
    with engine.writing("contact_rows", CONTACT_ROWS) as write:
        write(contact_rows(said))
    rules = RULES._replace(complete=complete)
    engine.define([*first_scores(SINCE), *outcomes.outcomes(), CONTACTS, *outcomes.labelled(KEPT, rules)])
    engine.define(cells.cells())
    engine.define(cells.segments(SCHEMAS, engine.columns, 0.05, 5))
    with engine.writing("own_leads", sampling.OWN_LEADS) as write:
        write(own_leads(said))


def own_leads(said: pa.Table) -> pa.Table:
    """The keys of some leads that are known otherwise."""
    return said.slice(0, len(said) // 10).select(["lead_key"])


def digest(relation: str, columns: Iterable[str]) -> Relation:
    """A few rows for many leads: of those whose keys' hashes begin alike their number and each column's ends."""
    part = "substr(md5(lead_key), 1, 5)"
    ends = ", ".join(f'min("{name}") as "least {name}", max("{name}") as "most {name}"' for name in columns)
    return Relation(
        f"{relation} in short", f"select {part} as part, count(*) as held, {ends} from {relation} group by {part}"
    )


def everything(engine: RelationEngine, said: pa.Table, in_short: bool = False) -> dict[str, pa.Table]:
    """The rows of all relations, by name; with `in_short` digests of those with a row for each lead. Two batches."""
    define(engine, said)
    digests = [
        digest("first_scores", sorted(engine.columns)),
        digest("outcomes", ["lead_key", "state", "time"]),
        digest("contacts", ["lead_key", "time"]),
        digest("labelled", [*KEPT, "target", "weight"]),
        digest("judged_leads", [*KEPT, "explored", "target", "weight"]),
        digest("scored_outcomes", [*KEPT, *LABEL_COLUMNS]),
    ]
    engine.define(digests)
    names = [each.name for each in digests] if in_short else [*OF_LEADS]
    rows = max(8, len(said) // 20)
    population, found = sampling.counted(engine, rows, SEED, [*names, *RESULTS[len(OF_LEADS) :]])
    made = sample_plan.plan([population], rows, SEED)
    engine.define([sampling.drawn(made, ["text:job", "number:age"])])
    least = max(1, found["label_counts"]["scored"].to_pylist()[0] // 3)
    engine.define(window.window_relations(SCHEMAS["v1"], REFERENCE, engine.columns, BEGINS, least, ["v1"]))
    return found | engine.results(["sample", *window.RESULTS])


def differences(ours: pa.Table, theirs: pa.Table) -> list[str]:
    """In what two tables differ, apart from the order of rows and columns."""
    if sorted(ours.column_names) != sorted(theirs.column_names):
        return [f"columns {sorted({*ours.column_names} ^ {*theirs.column_names})}"]
    if ours.num_rows != theirs.num_rows:
        return [f"{ours.num_rows:,} and {theirs.num_rows:,} rows"]
    exact = sorted(name for name in ours.column_names if name not in SUMMED)
    # Floats by their bits: 0.0 and -0.0 differ.
    here, there = (_by_bits(table).sort_by([(name, "ascending") for name in exact]) for table in (ours, theirs))
    found = []
    for name in ours.column_names:
        a, b = here[name].combine_chunks(), there[name].combine_chunks()
        if a.type != b.type:
            found.append(f"{name}: {a.type} and {b.type}")
        elif name in SUMMED:
            one, other = a.to_numpy(zero_copy_only=False), b.to_numpy(zero_copy_only=False)
            apart = ~(np.abs(one - other) <= TOLERANCE * np.abs(one))
            found += [f"{name}: {apart.sum():,} sums beyond {TOLERANCE:g}"] if apart.any() else []
        elif not a.equals(b):
            found.append(f"{name}: other values")
    return found


def _by_bits(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_floating(field.type) and field.name not in SUMMED:
            table = table.set_column(index, field.name, table[field.name].combine_chunks().view(pa.int64()))
    return table


def compared(predictions: Folder, said: pa.Table, place: SparkPlace, in_short: bool = False) -> Iterator[str]:
    """What the engines differ in, relation by relation; a relation without rows is told too, for it shows nothing."""
    begun = time.perf_counter()
    with duck.opened(predictions, SINCE, UNTIL) as engine:
        here = everything(engine, said, in_short)
    middle = time.perf_counter()
    with spark.opened(predictions, SINCE, UNTIL, "evaluate", lambda _: None, place) as engine:
        there = everything(engine, said, in_short)
    print(f"DuckDB {middle - begun:.1f} s, Spark {time.perf_counter() - middle:.1f} s")
    assert here.keys() == there.keys()
    for name in here:
        print(f"  {name}: {here[name].num_rows:,} rows")
        yield from (f"{name}: {difference}" for difference in differences(here[name], there[name]))
        if not here[name].num_rows:
            yield f"{name}: no rows"


@contextmanager
def local_dataproc(folder: Path, small: bool) -> Iterator[tuple[SparkPlace, Dataproc]]:
    """A place whose batches run in one Spark of this machine, until the block ends. Raises ProgramMissing."""
    with local_spark.started(folder, small) as work, pytest.MonkeyPatch.context() as patched:
        double = Dataproc(work)
        patched.setenv("LEADSCORING_DATAPROC_EMULATOR", double.endpoint)
        patched.setattr(spark_batch, "POLL_S", 0.05)
        place = SparkPlace("projects/acme/locations/europe-west1", str(folder / "staging"), "spark", "spark@acme")
        yield place, double
        double.close()
        print(f"Spark's processor time: {work.processor_s():.1f} s")


def main() -> int:
    """Compare the engines over so many random records; the exit status is 1 where a relation differs."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("rows", type=int)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, local_dataproc(Path(name), options.rows <= SMALL) as (place, _):
        predictions = Folder(Path(name) / "predictions")
        said = write_world(predictions, options.rows, options.seed)
        found = list(compared(predictions, said, place, options.rows > IN_SHORT))
    for line in found:
        print(line)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
