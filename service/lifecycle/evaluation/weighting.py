"""Whether leads that were contacted at random are enough to say something of those that nobody contacted."""

import math

import msgspec

from service.history import OutcomeSelection, Weighting
from service.lifecycle.evaluation.cells import ScoreCells
from service.lifecycle.relations.outcomes import CLIP

MIN_EXPLORED = 50
"""Explored leads with an outcome that figures of all leads need."""

MIN_EFFECTIVE = 100
"""The effective sample size that they need: the figures of so few leads without weights say nothing either."""

MAX_BELOW = 0.01
"""Of fewer leads below the line, as a share of all, nothing need be known."""


def weighting(cells: ScoreCells) -> Weighting | None:
    """What figures of all leads rest on; None where the cells have no weights, for all leads have an outcome."""
    if cells.weights is None or cells.below is None:
        return None
    below = float(cells.leads[cells.below].sum() / cells.leads.sum())
    explored = round(float(cells.leads[cells.below & (cells.weights > 1)].sum()))
    return Weighting(
        below=below,
        explored=explored,
        clip=CLIP,
        clipped=round(float(cells.leads[cells.weights * CLIP >= 1].sum())),
        effective=cells.effective,
        enough=below <= MAX_BELOW or (explored >= MIN_EXPLORED and cells.effective >= MIN_EFFECTIVE),
    )


def missing_days(found: Weighting, days: float) -> int | None:
    """How many days more there will be enough in, where so many brought these; None where none was explored."""
    if found.enough:
        return 0
    if not found.explored:
        return None
    factor = max(MIN_EXPLORED / found.explored, MIN_EFFECTIVE / found.effective)
    return max(1, math.ceil(days * (factor - 1)))


def about(selection: OutcomeSelection, found: Weighting | None, days: float, doubt: str) -> OutcomeSelection:
    """The same, saying first why contacts may be missing, where there is a `doubt`.

    Where too few were explored in so many days it says that there are no figures of all leads.
    """
    said = _no_figures(selection, found, days) or selection.about
    return msgspec.structs.replace(selection, about=f"Contacts may be missing: {doubt}. {said}" if doubt else said)


def _no_figures(selection: OutcomeSelection, found: Weighting | None, days: float) -> str:
    """Why there are no figures of all leads; "" where there are."""
    if found is None or found.enough:
        return ""
    missing = missing_days(found, days)
    when = (
        "None of these was contacted at random: state exploration.share in the lead source"
        if missing is None
        else f"{found.explored:,} of these were contacted at random, an effective sample of {found.effective:,.0f}; "
        f"{MIN_EXPLORED} and {MIN_EFFECTIVE} are needed. At the present rate that takes {missing:,} more days"
    )
    return (
        f"Only contacted leads have outcomes, so there are no figures of all leads: {selection.with_outcome:,} of "
        f"{selection.leads:,} leads have an outcome. What follows is of contacted leads alone. {when}."
    )


def basis(found: Weighting) -> str:
    """The weights in a sentence."""
    return (
        f"Contacted leads stand for all: one weighs 1 / its probability of a contact, at most {1 / found.clip:,.0f} "
        f"({found.clipped:,} leads weigh that much). {found.explored:,} explored leads stand for the {found.below:.0%} "
        f"below the line; the effective sample size is {found.effective:,.0f}."
    )
