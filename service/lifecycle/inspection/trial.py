"""Leads read as training would read them: what it leaves out, what it refuses, and whether there are enough."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from service.lifecycle.data.columns import Column
from service.lifecycle.data.inference import shortened
from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.source import SourceError
from service.lifecycle.inspection.proposal import Proposal
from service.lifecycle.training.leaks import find_leaks
from service.lifecycle.training.selection import Progress, TooFewOutcomes, split
from service.model.bundle import LeakReport


@dataclass(frozen=True)
class Trial:
    """What a training with the proposal would meet.

    `leads` is None where they cannot be read at all. `refusals` are what training refuses, the first as it says it; the
    columns `refused` were left out to read the rest. `leaks` is what training would say of likely leaks. `too_few` is
    why there are not enough leads; empty if there are.
    """

    leads: Leads | None
    refusals: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    leaks: LeakReport | None = None
    too_few: str = ""


def try_reading(proposal: Proposal, columns: Collection[Column], tell: Progress) -> Trial:
    """Read the leads with the proposal."""
    folder = proposal.file.absolute().parent
    try:
        return _judged(load(proposal.source(folder)), tell)
    except SourceError as error:
        first = str(error)
    roles = {proposal.target, proposal.id_column, proposal.time_column}
    refused = {column.name: _refusal(column) for column in columns if column.name not in roles and _refusal(column)}
    if not refused:
        return Trial(None, (first,))
    others = tuple(reason for name, reason in refused.items() if repr(name) not in first)
    try:
        rest = load(proposal.source(folder, leave_out=tuple(refused)))
    except SourceError as error:
        return Trial(None, tuple(dict.fromkeys([first, str(error)])))
    return replace(_judged(rest, tell), refusals=(first, *others), refused=tuple(refused))


def _judged(leads: Leads, tell: Progress) -> Trial:
    try:
        split(leads)
    except TooFewOutcomes as error:
        return Trial(leads, too_few=str(error))
    return Trial(leads, leaks=find_leaks(leads, tell=tell))


def _refusal(column: Column) -> str:
    """Why training refuses the column; empty where it does not."""
    if cut := shortened(column.values):
        return f"column {column.name!r}: {cut!r} is a number that a spreadsheet has shortened"
    if not column.finding.refusal:
        return ""
    try:
        column.check()
    except SourceError as error:
        return str(error)
    return ""
