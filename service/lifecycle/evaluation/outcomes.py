"""Reads outcomes of scored leads from the CRM's files below `outcomes/`, which arrive late and in several parts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from service.lifecycle.data.outcome import OutcomeValues
from service.lifecycle.data.outcome_file import form_of_outcomes, named_columns, understand
from service.lifecycle.data.quarantine import Rejected
from service.lifecycle.data.source import Source, SourceError
from service.lifecycle.data.table import parse_table
from service.lifecycle.evaluation.scored import ScoredLeads
from service.reading.ids import join_key
from service.storage import Storage

PREFIX = "outcomes/"


@dataclass(frozen=True)
class Outcomes:
    """By `join_key` of the lead's id, whether it converted; `corrected` counts outcomes that a later file changed.

    `open` leads are those that the last file with them calls neither converted nor lost. Of `contradicted` ones no
    file says one thing. `until` is the newest time in the files, None where they have none.
    """

    converted: dict[str, bool]
    corrected: int
    rejected: tuple[Rejected, ...]
    open: frozenset[str] = frozenset()
    contradicted: frozenset[str] = frozenset()
    until: datetime | None = None

    @property
    def doubt_of_absence(self) -> str:
        """Why a lead that no file names may have an outcome after all; empty where it has none."""
        if not self.converted:
            return "no outcome has come"
        aside = [row.file for row in self.rejected if row.row == 0]
        return f"{aside[0]} is set aside, and may name them" if aside else ""


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


def read_outcomes(source: Source, values: OutcomeValues, leads: Storage) -> Outcomes:
    """All outcomes below `outcomes/`, CSV or Parquet; of two for one lead the one in the later file (by name) holds.

    Files have the columns that the source names for files of outcomes. Rejected are rows without lead or outcome, two
    outcomes for a lead in one file, and every file that cannot be read or that holds an outcome of which `values` do
    not say what it means: no row of it is used then. All other rows count. Raises StorageError.
    """
    converted: dict[str, bool] = {}
    corrected = 0
    opened, contradicted, rejected = set[str](), set[str](), list[Rejected]()
    until = None
    for key in leads.keys(PREFIX):
        stored = None if key.endswith("/") else leads.read(key)  # a console's folder is an empty object
        if stored is None:
            continue
        origin = f"{leads.url}/{key}"
        try:
            table = named_columns(source, parse_table(origin, stored.data, form_of_outcomes(source)))
            found = understand(source, values, table)
        except SourceError as error:
            rejected.append(Rejected(file=origin, row=0, column="", reason=str(error).removeprefix(f"{origin}: ")))
            continue
        rejected += found.rejected
        corrected += sum(converted.get(lead, now) != now for lead, now in found.converted.items())
        reopened = found.open & converted.keys()
        corrected += len(reopened)
        for lead in reopened:
            del converted[lead]
        converted |= found.converted
        opened = (opened | found.open) - found.converted.keys()
        contradicted |= found.contradicted
        until = max(filter(None, (until, found.until)), default=None)
    unclear = frozenset(contradicted - converted.keys() - opened)
    return Outcomes(converted, corrected, tuple(rejected), frozenset(opened), unclear, until)


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
