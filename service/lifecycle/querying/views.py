"""The views that a query reads, over the relations of an engine.

They lie in a schema of their own: `outcomes` is the name of a relation too.
"""

# ruff: noqa: S608 - names in the texts are quoted by `relation`

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import pyarrow as pa

from service import history
from service.history import Estimate, Evaluation
from service.lifecycle.data.leads import outcome_values
from service.lifecycle.data.source import Source
from service.lifecycle.evaluation.outcomes import RESULTS, OutcomeFiles, write_outcomes
from service.lifecycle.relations.columns import FIXED, input_field
from service.lifecycle.relations.duck import DuckEngine
from service.lifecycle.relations.first_scores import first_scores
from service.lifecycle.relations.outcomes import CONTRADICTED, CONVERTED, LOST, OPEN
from service.lifecycle.relations.relation import literal, quoted
from service.storage import Storage

SCHEMA = "asked"
VIEWS = ("predictions", "leads", "outcomes", "evaluations")

STATES = {CONVERTED: "converted", LOST: "lost", OPEN: "open", CONTRADICTED: "contradicted"}

EVALUATIONS = pa.schema(
    [
        ("time", pa.timestamp("us", "UTC")),
        ("since", pa.timestamp("us", "UTC")),
        ("until", pa.timestamp("us", "UTC")),
        ("model_version", pa.string()),
        ("leads", pa.int64()),
        ("converted", pa.int64()),
        ("figure", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("at_training", pa.float64()),
    ]
)
"""A row for each evaluation, version and figure. Those of money, `business.*`, are of the version judged first."""


def add_records(engine: DuckEngine, since: datetime) -> None:
    """`predictions`, all records, and `leads`, the first record of each lead, see `first_scores`.

    Columns of input fields are called as `names` says.
    """
    engine.define(first_scores(since))
    shown = ", ".join(f"{quoted(column)} as {quoted(name)}" for column, name in names(engine.columns).items())
    engine.connection.execute(f"create schema {SCHEMA}")
    _add(engine, "predictions", f"select {shown} from main.records")
    _add(engine, "leads", f"select {shown} from main.first_scores")


def names(columns: Iterable[str]) -> dict[str, str]:
    """What each column of the records is called in a query, in the order of the records, then of the fields' names.

    An input field has its own name. Where that is a record's column, or another field's but for case, or where the
    field has values of several kinds, it keeps the stored name, such as `number:visits`.
    """
    fields = {column: found[1] for column in columns if (found := input_field(column))}
    taken = Counter(name.casefold() for name in fields.values())
    stored = {*(name.casefold() for name in FIXED.names), *(column.casefold() for column in fields)}
    named = {
        column: name if name and taken[name.casefold()] == 1 and name.casefold() not in stored else column
        for column, name in fields.items()
    }
    return {name: name for name in FIXED.names} | dict(sorted(named.items(), key=lambda pair: pair[1].casefold()))


def add_outcomes(engine: DuckEngine, source: Source, leads: Storage) -> OutcomeFiles:
    """`outcomes`, of the files below `outcomes/`. Raises SourceError, StorageError."""
    written = write_outcomes(engine, source, outcome_values(source), leads)
    files = written.read(engine.results(RESULTS))
    words = " ".join(f"when {state} then {literal(word)}" for state, word in STATES.items())
    final = f"case state when {CONVERTED} then true when {LOST} then false end"
    _add(
        engine, "outcomes", f"select lead_key, {final} as converted, case state {words} end as state from main.outcomes"
    )
    return files


def add_evaluations(engine: DuckEngine, models: Storage, since: datetime, until: datetime) -> None:
    """`evaluations`, those made in [since, until). Raises StorageError, and msgspec.DecodeError on a broken entry."""
    with engine.writing("evaluation_rows", EVALUATIONS) as write:
        for entry in history.between(models, Evaluation, since, until):
            write(pa.Table.from_pylist(list(_rows(entry)), schema=EVALUATIONS))
    _add(engine, "evaluations", "select * from main.evaluation_rows")


def _rows(entry: Evaluation) -> Iterator[dict[str, object]]:
    about = {"time": entry.time, "since": entry.since, "until": entry.until}
    judged = {version.version: version for version in entry.versions}
    converted = sum(band.converted for band in entry.bands)
    first = about | {"model_version": entry.model_version, "leads": entry.leads, "converted": converted}
    yield from _figures(first, entry.figures, entry.benchmark)
    yield from ({**first, "figure": f"business.{name}", "value": value} for name, value in entry.business.items())
    for name, version in judged.items():
        if name != entry.model_version:
            other = about | {"model_version": name, "leads": version.leads, "converted": version.converted}
            yield from _figures(other, version.figures, {})


def _figures(
    about: Mapping[str, object], figures: Mapping[str, Estimate], benchmark: Mapping[str, float]
) -> Iterator[dict[str, object]]:
    for name, figure in figures.items():
        interval = {"value": figure.value, "low": figure.low, "high": figure.high}
        yield {**about, "figure": name, **interval, "at_training": benchmark.get(name)}


def _add(engine: DuckEngine, name: str, query: str) -> None:
    engine.connection.execute(f"create view {SCHEMA}.{name} as {query}")
