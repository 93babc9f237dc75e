"""Reads outcomes of scored leads from the CRM's files below `outcomes/`, which arrive late and in several parts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from service.lifecycle.data.outcome import OutcomeValues
from service.lifecycle.data.outcome_file import contradicted, form_of_outcomes, named_columns, outcome_rows
from service.lifecycle.data.quarantine import Rejected
from service.lifecycle.data.source import Source, SourceError
from service.lifecycle.data.table import parse_table
from service.lifecycle.evaluation.scored import ScoredLeads
from service.lifecycle.relations.duck import without_records
from service.lifecycle.relations.outcomes import CONTRADICTED, CONVERTED, LOST, OPEN, OUTCOME_ROWS, outcomes
from service.lifecycle.relations.relation import RelationEngine
from service.reading.ids import join_key
from service.storage import Storage

PREFIX = "outcomes/"


@dataclass(frozen=True)
class OutcomeFiles:
    """What was read of the files: rows that say nothing, leads by state, and the newest time, None without times."""

    rejected: tuple[Rejected, ...]
    states: Mapping[int, int]
    until: datetime | None = None

    @property
    def converted(self) -> int:
        """Leads with a final outcome."""
        return self.states.get(CONVERTED, 0) + self.states.get(LOST, 0)

    @property
    def open(self) -> int:
        """Leads that the last file with them calls neither converted nor lost."""
        return self.states.get(OPEN, 0)

    @property
    def doubt_of_absence(self) -> str:
        """Why a lead that no file names may have an outcome after all; empty where it has none."""
        if not self.converted:
            return "no outcome has come"
        aside = _aside(self.rejected)
        return f"{aside[0]} is set aside, and may name them" if aside else ""


@dataclass(frozen=True)
class WrittenOutcomes:
    """The rows of all files are in an engine's `outcomes`; what they say is known once it has computed RESULTS.

    `origins` name the files whose rows are there, by their number; `rejected` are rows that say nothing by themselves.
    """

    source: Source
    origins: tuple[str, ...]
    rejected: tuple[Rejected, ...]
    until: datetime | None

    def complete_until(self, now: datetime) -> datetime | None:
        """Of leads that were scored by then all conversions are known; None where the source does not ask for that.

        Where a file is set aside that is long ago, so that nobody is taken as lost. `relations.outcomes.labelled` takes
        nobody as lost where no outcome has come.
        """
        if self.source.absent_after_days is None:
            return None
        if _aside(self.rejected):
            return datetime(1970, 1, 1, tzinfo=UTC)
        return min(now, self.until or now) - timedelta(days=self.source.maturity_days)

    def read(self, results: Mapping[str, pa.Table]) -> OutcomeFiles:
        """What the files say, by the rows of RESULTS."""
        rejected = [*self.rejected, *contradicted(self.source, self.origins, results["contradictions"])]
        states = {row["state"]: row["leads"] for row in results["outcome_counts"].to_pylist()}
        order = {origin: place for place, origin in enumerate(sorted({row.file for row in rejected}))}
        return OutcomeFiles(tuple(sorted(rejected, key=lambda row: (order[row.file], row.row))), states, self.until)


RESULTS = ("contradictions", "outcome_counts")


@dataclass(frozen=True)
class Outcomes:
    """By `join_key` of the lead's id, whether it converted.

    `open` leads are those that the last file with them calls neither converted nor lost. Of `contradicted` ones no
    file says one thing. `until` is the newest time in the files, None where they have none.
    """

    converted: dict[str, bool]
    rejected: tuple[Rejected, ...] = ()
    open: frozenset[str] = frozenset()
    contradicted: frozenset[str] = frozenset()
    until: datetime | None = None

    @property
    def doubt_of_absence(self) -> str:
        """See OutcomeFiles."""
        return OutcomeFiles(self.rejected, {CONVERTED: len(self.converted)}).doubt_of_absence


@dataclass(frozen=True)
class LabelledScores:
    """Scored leads whose outcome is final, `target` 1 where one converted. `without_outcome` of that age have none.

    `not_scored` counts outcomes of leads that are not among the scored ones: of another time, or unknown.
    `taken_as_lost` are among the leads: no outcome of theirs came, and the source says that this is a loss.
    """

    scored: ScoredLeads
    target: npt.NDArray[np.int8]
    without_outcome: int
    not_scored: int
    taken_as_lost: int = 0


def write_outcomes(engine: RelationEngine, source: Source, values: OutcomeValues, leads: Storage) -> WrittenOutcomes:
    """Write the rows of all files below `outcomes/` to the engine; see `relations.outcomes`.

    Files are CSV or Parquet, and have the columns that the source names for files of outcomes. Rejected are rows
    without lead or outcome, two outcomes for a lead in one file, and every file that cannot be read or that holds an
    outcome of which `values` do not say what it means: no row of it is used then. All other rows count, those of the
    later file (by name) first. Raises StorageError.
    """
    rejected, origins, until = list[Rejected](), list[str](), None
    with engine.writing("outcome_rows", OUTCOME_ROWS) as write:
        for key in leads.keys(PREFIX):
            stored = None if key.endswith("/") else leads.read(key)  # a console's folder is an empty object
            if stored is None:
                continue
            origin = f"{leads.url}/{key}"
            try:
                table = named_columns(source, parse_table(origin, stored.data, form_of_outcomes(source)))
                found = outcome_rows(source, values, table, len(origins))
            except SourceError as error:
                rejected.append(Rejected(file=origin, row=0, column="", reason=str(error).removeprefix(f"{origin}: ")))
                continue
            origins.append(origin)
            rejected += found.rejected
            until = max(filter(None, (until, found.until)), default=None)
            write(found.rows)
    engine.define(outcomes())
    return WrittenOutcomes(source, tuple(origins), tuple(rejected), until)


def read_outcomes(source: Source, values: OutcomeValues, leads: Storage) -> Outcomes:
    """All outcomes below `outcomes/`, as `write_outcomes` reads them, in memory. Raises StorageError."""
    with without_records() as engine:
        written = write_outcomes(engine, source, values, leads)
        results = engine.results(["outcomes", *RESULTS])
    files, table = written.read(results), results["outcomes"]
    by_state: dict[int, list[str]] = {state: [] for state in (LOST, CONVERTED, OPEN, CONTRADICTED)}
    for lead, state in zip(table["lead_key"].to_pylist(), table["state"].to_pylist(), strict=True):
        by_state[state].append(lead)
    converted = dict.fromkeys(by_state[CONVERTED], True) | dict.fromkeys(by_state[LOST], False)
    opened, unclear = frozenset(by_state[OPEN]), frozenset(by_state[CONTRADICTED])
    return Outcomes(converted, files.rejected, opened, unclear, files.until)


def _aside(rejected: Iterable[Rejected]) -> list[str]:
    """The files that are set aside as a whole."""
    return [row.file for row in rejected if row.row == 0]


def judge(
    scored: ScoredLeads, outcomes: Outcomes, now: datetime, maturity: timedelta, absent_is_lost: bool = False
) -> LabelledScores:
    """Those of the leads that were scored `maturity` ago or earlier and have an outcome.

    With `absent_is_lost` one that no file says converted is lost, as far as all conversions are known: of leads that
    were scored `maturity` before the newest time in the files, where they have times, and of nobody where
    `outcomes.doubt_of_absence` gives a reason. All other leads are left out, also those that converted: without the
    lost ones beside them, the conversion rate would be too high.
    """
    times, keys = scored.table["time"], scored.table["lead_id"].map(join_key)
    ripe = times <= pd.Timestamp(now - maturity)
    known = keys.isin(outcomes.converted.keys())
    judged, lost = ripe & known, ripe & False
    if absent_is_lost:
        heard = min(now, outcomes.until or now)
        complete = (times <= pd.Timestamp(heard - maturity)) & (not outcomes.doubt_of_absence)
        lost = complete & ~known & ~keys.isin(outcomes.contradicted)
        judged = complete & (known | lost)
    kept = scored.select(judged)
    target = np.array([outcomes.converted.get(join_key(lead), False) for lead in kept.table["lead_id"]], dtype=np.int8)
    without, strangers = int((ripe & ~known & ~lost).sum()), len(outcomes.converted) - int(known.sum())
    return LabelledScores(kept, target, without, strangers, int(lost.sum()))
