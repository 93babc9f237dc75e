"""What an evaluation reads: the labelled leads of all versions in cells, and whether all records are there.

All is asked for at once, for each question costs a batch of Spark. So the cells are those of every version that was
published, whether it scored leads of the window or not, and the counter is asked before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from service.history import OutcomeSelection
from service.lifecycle.data.leads import outcome_values
from service.lifecycle.data.quarantine import Rejected, set_aside
from service.lifecycle.evaluation.labels import write_labels
from service.lifecycle.evaluation.outcomes import RESULTS, OutcomeFiles
from service.lifecycle.evaluation.reading import completeness, published
from service.lifecycle.evaluation.reading.completeness import Completeness, Counted
from service.lifecycle.evaluation.scored import broken_records
from service.lifecycle.evaluation.selection import selection
from service.lifecycle.evaluation.version_quality import CELL_RESULTS, VersionCells, version_cells, write_cells
from service.lifecycle.relations import engines
from service.lifecycle.relations.cells import segment_columns
from service.lifecycle.relations.first_scores import first_scores
from service.lifecycle.relations.outcomes import SELECTION_COUNTS, LabelRules
from service.lifecycle.relations.relation import Relation
from service.lifecycle.runtime.runner import JobFailed, Loop
from service.model import bundle
from service.model.bundle import Manifest

COLUMNS = ("model_version", "time", "score", "decision", "band", "latency_ms")
"""Of each scored lead, besides the columns of segments."""

VERSIONS = Relation("versions", "select distinct model_version from scored_outcomes")


@dataclass(frozen=True)
class EvaluatedWindow:
    """The leads scored in [since, until), whose records `engine` reads; `counter` is what --counter says."""

    engine: str
    since: datetime
    until: datetime
    counter: str | None


@dataclass(frozen=True)
class ReadWindow:
    """Counts of labelled leads; the cells of the champion and of all versions of the window, the newest first.

    `choices` are the rows of `selection_counts`, by these `rules`; `set_aside` counts rejected rows by kind of file;
    `groups` are the rows of `group_counts`, None where the source names no group. `doubt` says why contacts may be
    missing, "" where nothing suggests it.
    """

    labels: Mapping[str, int]
    versions: Sequence[tuple[Manifest, VersionCells]]
    selection: OutcomeSelection
    compared: Completeness | None
    choices: pa.Table
    rules: LabelRules
    set_aside: Mapping[str, int]
    groups: pa.Table | None
    doubt: str


def read_window(loop: Loop, window: EvaluatedWindow, champion: str) -> ReadWindow:
    """Read the window; set aside what is broken. Raises RelationsFailed, StorageError, BundleRefused, JobFailed."""
    counted = _counted(loop, window)
    manifests = published.manifests(loop.models)
    with engines.opened(window.engine, loop.predictions, window.since, window.until, "evaluate", loop.tell) as engine:
        engine.define(first_scores(window.since))
        wanted = segment_columns((manifest.lead_schema for manifest in manifests.values()), engine.columns)
        values = outcome_values(loop.source)
        columns = [*COLUMNS, *wanted]
        written = write_labels(engine, loop.source, values, loop.leads, columns, loop.now, by_group=True)
        engine.define([VERSIONS])
        write_cells(engine, manifests)
        counted_by = ["label_counts", SELECTION_COUNTS.name, *(["group_counts"] if loop.source.groups else [])]
        found = engine.results(["record_counts", *RESULTS, VERSIONS.name, *counted_by, *CELL_RESULTS])
        broken = broken_records(engine.broken, loop.predictions)
    files, rejected, keys = written.set_aside(found, loop.leads)
    _tell_rejected(loop, [*broken, *rejected], [*set_aside(loop.leads, "predictions", broken), *keys])
    counts = found["record_counts"].to_pylist()
    compared = _compared(loop, window, counted, counts)
    (labels,) = found["label_counts"].to_pylist()
    repeated = sum(row["leads"] for row in counts) - labels["scored"]
    absent = "" if written.rules.complete is None else _absent(labels["lost"], files)
    loop.note(
        f"{labels['scored']:,} leads scored ({repeated:,} scored again), {labels['labelled']:,} with an outcome; "
        f"{files.converted - labels['known']:,} outcomes are of leads that were not scored in this time, "
        f"{files.open:,} say that a lead is open{absent}"
    )
    choices = found[SELECTION_COUNTS.name]
    selected = selection(choices, written.rules)
    by_kind = {"predictions": len(broken), **written.counts(files)}
    versions = _versions(loop, manifests, found, champion)
    groups, doubt = found.get("group_counts"), written.contacts.doubt(loop.now)
    return ReadWindow(labels, versions, selected, compared, choices, written.rules, by_kind, groups, doubt)


def _versions(
    loop: Loop, manifests: Mapping[str, Manifest], found: Mapping[str, pa.Table], champion: str
) -> list[tuple[Manifest, VersionCells]]:
    versions = {champion, *found[VERSIONS.name]["model_version"].to_pylist()}
    for version in sorted(versions - manifests.keys()):
        bundle.read_manifest(loop.models, version)  # which says what is wrong with it
        raise JobFailed(f"{version} was published while the records were read; run the job again")
    return [(manifests[version], version_cells(found, version)) for version in sorted(versions, reverse=True)]


def _counted(loop: Loop, window: EvaluatedWindow) -> Counted | None:
    if window.counter is None:
        loop.note("whether all records are there is not compared: --counter names no counter")
        return None
    counted = completeness.ask(window.counter, window.since, window.until)
    if counted is None:
        loop.note(f"whether all records are there cannot be told: {window.counter} knows no counter of that time")
    return counted


def _compared(
    loop: Loop, window: EvaluatedWindow, counted: Counted | None, counts: Sequence[Mapping[str, Any]]
) -> Completeness | None:
    """A counter of another time, which a service's page has, costs Spark a batch of its own."""
    if counted is None:
        return None
    if (counted.since, counted.until) != (window.since, window.until):
        opened = engines.opened(window.engine, loop.predictions, counted.since, counted.until, "evaluate", loop.tell)
        with opened as engine:
            engine.define(first_scores(counted.since))
            counts = engine.results(["record_counts"])["record_counts"].to_pylist()
    # The records of batch are not in the service's counter.
    there = sum(row["records"] for row in counts if row["channel"] != "batch")
    compared = Completeness(counted.since, counted.until, counted.written, there)
    verdict = "complete" if compared.complete else "INCOMPLETE"
    loop.note(f"{compared.found:,} of {compared.written:,.0f} records written are there: {verdict}")
    return compared


def _tell_rejected(loop: Loop, rejected: Sequence[Rejected], keys: Sequence[str]) -> None:
    for row in rejected[:5]:
        loop.note(str(row))
    if keys:
        loop.note(f"{len(rejected):,} rows were set aside, in {loop.leads.url}: {', '.join(keys)}")


def _absent(lost: int, files: OutcomeFiles) -> str:
    """What is to be said of leads that no outcome came for, where the source says that they are lost."""
    if doubt := files.doubt_of_absence:
        return f"; no lead is judged, for one without an outcome may not be lost: {doubt}"
    until = f", counted to {files.until:%Y-%m-%d}, the newest time of an outcome" if files.until else ""
    return f"; {lost:,} leads without an outcome count as lost{until}"
