"""What a file of leads holds, before anything is trained on it."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from service.lifecycle.data.columns import Column, read_column
from service.lifecycle.data.source import SourceError
from service.lifecycle.data.table import FileForm, Table, read_table
from service.lifecycle.inspection import roles
from service.lifecycle.inspection.outcomes import CLEAR_SCORE, OutcomeCandidate, as_candidate, outcome_candidates
from service.lifecycle.inspection.proposal import Proposal
from service.lifecycle.inspection.roles import RoleCandidate
from service.lifecycle.inspection.trial import Trial, try_reading
from service.lifecycle.training.selection import Progress
from service.model.spelling import Mark


@dataclass(frozen=True)
class Stated:
    """What a person says of the file, where it does not say so itself."""

    form: FileForm = field(default_factory=FileForm)
    decimal: Mark | None = None
    outcome: str | None = None
    won: tuple[str, ...] = ()


NOTHING_STATED = Stated()


@dataclass(frozen=True)
class Survey:
    """A file's table and columns, who may play which role, and what training would meet.

    `trial` is None where the proposal names no outcome.
    """

    file: Path
    table: Table
    columns: dict[str, Column]
    outcomes: list[OutcomeCandidate]
    ids: list[RoleCandidate]
    times: list[RoleCandidate]
    proposal: Proposal
    trial: Trial | None = None

    @property
    def ready(self) -> bool:
        """Whether a training would take these leads, once a person has confirmed the outcome, or has named it."""
        return self.trial is None or not (self.trial.refusals or self.trial.too_few)

    @property
    def repeated_rows(self) -> int:
        """How many rows hold the same cells as another before them."""
        return int(pd.DataFrame({name: column.codes for name, column in self.columns.items()}).duplicated().sum())


def look_at(file: Path, stated: Stated = NOTHING_STATED, tell: Progress = lambda _: None) -> Survey:
    """Read the file and look for the roles. Raises SourceError, as training does, where the file cannot be read."""
    if "${" in file.name:
        raise SourceError(f"{file}: a lead source takes ${{...}} for a variable; give the file another name")
    tell(f"reading {file}")
    table = read_table(file, stated.form)
    columns = {name: read_column(table, name, stated=stated.decimal) for name in table.cells.column_names}
    outcomes = _outcomes(columns, stated, table.origin)
    held = {candidate.column for candidate in outcomes[:1]}
    others = [column for name, column in columns.items() if name not in held]
    ids, times = roles.id_candidates(others), roles.time_candidates(others)
    proposal = _proposed(file, stated, outcomes, ids, times)
    return tried(Survey(file, table, columns, outcomes, ids, times, proposal), proposal, tell)


def tried(survey: Survey, proposal: Proposal, tell: Progress = lambda _: None) -> Survey:
    """The survey with this proposal, and what training would meet with it."""
    trial = None
    if proposal.target and proposal.won:
        trial = try_reading(proposal, survey.columns.values(), tell)
    elif proposal.target and len(survey.outcomes[0].counts) == 1 and not survey.outcomes[0].empty:
        (value,) = survey.outcomes[0].counts
        reason = f"{value!r} is the only outcome; export converted leads and others"
        trial = Trial(None, (f"{survey.table.origin}, column {proposal.target!r}: {reason}",))
    return replace(survey, proposal=proposal, trial=trial)


def _outcomes(columns: dict[str, Column], stated: Stated, origin: str) -> list[OutcomeCandidate]:
    if stated.outcome is None:
        return outcome_candidates(list(columns.values()))
    if stated.outcome not in columns:
        raise SourceError(f"{origin}: has no column {stated.outcome!r}; it has: {', '.join(columns)}")
    found = as_candidate(columns[stated.outcome], named=True)
    if found is None:
        raise SourceError(f"{origin}, column {stated.outcome!r}: holds too many different values for an outcome")
    if unknown := [value for value in stated.won if value not in found.counts]:
        raise SourceError(
            f"{origin}, column {stated.outcome!r}: does not hold {unknown[0]!r}; it holds: {', '.join(found.counts)}"
        )
    return [found.reading(stated.won) if stated.won else found]


def _proposed(
    file: Path,
    stated: Stated,
    outcomes: list[OutcomeCandidate],
    ids: list[RoleCandidate],
    times: list[RoleCandidate],
) -> Proposal:
    likely = outcomes[0] if outcomes and (stated.outcome or outcomes[0].score >= CLEAR_SCORE) else None
    id_guess, time_guess = roles.guess(ids), roles.guess(times)
    proposal = Proposal(
        file,
        stated.form,
        stated.decimal,
        id_column=id_guess.column if id_guess else None,
        time_column=time_guess.column if time_guess else None,
    )
    return with_outcome(proposal, likely) if likely else proposal


def with_outcome(proposal: Proposal, outcome: OutcomeCandidate) -> Proposal:
    """The proposal with this outcome; the losing values are named where leads are open or there are several."""
    lost = outcome.lost if outcome.open or len(outcome.lost) > 1 else ()
    return replace(proposal, target=outcome.column, won=outcome.won, lost=lost)
