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

MIN_COVERED = 0.5
"""The share of the leads below the line that explored leads need to stand for.

Where they stand for fewer, most leads were scored at a time in which none was explored, which may not be like the rest.
The share is divided by that of the leads above the line with an outcome: outcomes that are missing alike do no harm.
"""

MAX_BELOW = 0.01
"""Of fewer leads below the line, as a share of all, nothing need be known."""


def weighting(cells: ScoreCells) -> Weighting | None:
    """What figures of all leads rest on; None where the cells have no weights, for all leads have an outcome."""
    if cells.weights is None or cells.below is None:
        return None
    below = float(cells.leads[cells.below].sum() / cells.leads.sum())
    standing = cells.leads * cells.weights
    covered = covered_share(
        float(standing[cells.below].sum()),
        float(cells.leads[cells.below].sum()),
        float(cells.leads[~cells.below & cells.known].sum()),
        float(cells.leads[~cells.below].sum()),
    )
    explored = round(float(cells.leads[cells.below & (cells.weights > 1)].sum()))
    return Weighting(
        below=below,
        explored=explored,
        clip=CLIP,
        clipped=round(float(cells.leads[cells.weights * CLIP >= 1].sum())),
        effective=cells.effective,
        covered=covered,
        enough=below <= MAX_BELOW
        or (explored >= MIN_EXPLORED and cells.effective >= MIN_EFFECTIVE and covered >= MIN_COVERED),
    )


def covered_share(weight_below: float, leads_below: float, known_above: float, leads_above: float) -> float:
    """For what share of the leads below the line explored leads stand, at most 1; see MIN_COVERED."""
    with_outcome = known_above / leads_above if known_above else 1.0
    return min(1.0, weight_below / max(leads_below, 1.0) / with_outcome)


def missing_days(found: Weighting, explored_days: float) -> int | None:
    """How many days more there will be enough in, where so many brought these; None where none was explored."""
    if found.enough:
        return 0
    if not found.explored:
        return None
    factor = max(MIN_EXPLORED / found.explored, MIN_EFFECTIVE / found.effective, MIN_COVERED / found.covered)
    return max(1, math.ceil(explored_days * (factor - 1)))


def about(
    selection: OutcomeSelection, found: Weighting | None, days: float, explored_days: float, doubt: str
) -> OutcomeSelection:
    """The same, saying first why contacts may be missing, where there is a `doubt`.

    Where too few were explored it says that there are no figures of all leads. The evaluation is of so many `days`;
    leads were explored in the last `explored_days` of the version's own.
    """
    said = _no_figures(selection, found, days, explored_days) or selection.about
    return msgspec.structs.replace(selection, about=f"Contacts may be missing: {doubt}. {said}" if doubt else said)


def _no_figures(selection: OutcomeSelection, found: Weighting | None, days: float, explored_days: float) -> str:
    """Why there are no figures of all leads; "" where there are."""
    if found is None or found.enough:
        return ""
    return (
        f"Only contacted leads have outcomes, so there are no figures of all leads: {selection.with_outcome:,} of "
        f"{selection.leads:,} leads have an outcome. What follows is of contacted leads alone. "
        f"{_missing(found, days, explored_days)}."
    )


def _missing(found: Weighting, days: float, explored_days: float) -> str:
    """Why there are too few explored leads, and what helps."""
    missing = missing_days(found, explored_days)
    if missing is None:
        return "None of these was contacted at random: state exploration.share in the lead source"
    window = math.ceil(explored_days + missing)
    return (
        f"{found.explored:,} of these were contacted at random, an effective sample of {found.effective:,.0f}; "
        f"{MIN_EXPLORED} and {MIN_EFFECTIVE} are needed. They stand for {found.covered:.0%} of the leads below the "
        f"line; {MIN_COVERED:.0%} are needed. They came in {explored_days:.1f} days; at that rate it takes {missing:,} "
        "more days"
    ) + (
        f", and an evaluation with --days {window}, for one of {days:g} days never has enough" if window > days else ""
    )


def basis(found: Weighting) -> str:
    """The weights in a sentence."""
    return (
        f"Contacted leads stand for all: one weighs 1 / its probability of a contact, at most {1 / found.clip:,.0f} "
        f"({found.clipped:,} leads weigh that much). {found.explored:,} explored leads stand for the {found.below:.0%} "
        f"below the line; the effective sample size is {found.effective:,.0f}."
    )
