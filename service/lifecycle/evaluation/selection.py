"""Whether leads with an outcome are like the others, and so of whom an evaluation's figures hold.

Where sales contacts the leads that a model recommends, only these can convert: figures of them are not those of all.
"""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.stats import chi2_contingency, norm, poisson

from service.history import OutcomeSelection
from service.lifecycle.relations.outcomes import LabelRules

ALPHA = 0.001
MIN_DIFFERENCE = 0.05
"""Between two shares of leads with an outcome; a smaller one hardly moves a figure, however significant it is."""

MAX_RATIO = 0.5
"""Conversions against what scores promise, of leads not to contact as a share of the same of those to contact.

A model whose low scores are that far off is rare; leads that nobody contacts convert less than that.
"""

DECILES = 10
Counts = npt.NDArray[np.float64]


def selection(counts: pa.Table, rules: LabelRules) -> OutcomeSelection:
    """Test whether having an outcome depends on decision or score, of the rows of `selection_counts`.

    Pearson's chi-squared test for the decision, the Cochran-Armitage test for a trend over tenths of the leads by
    score; each must find a difference of MIN_DIFFERENCE too. Where a lead without an outcome is lost all have one:
    there the conversions of leads not to contact are compared with what their scores promise.
    """
    columns = {name: counts[name].to_numpy(zero_copy_only=False) for name in counts.column_names}
    leads = columns["leads"].astype(np.float64)
    known = leads * columns["is_known"].astype(bool)
    chosen = columns["is_chosen"].astype(bool)
    by_decision = [(known[these].sum(), leads[these].sum()) for these in (chosen, ~chosen)]
    with_outcome, per_tenth = _tenths(columns["score_bin"], leads, known)
    found = OutcomeSelection(
        leads=int(leads.sum()),
        with_outcome=int(known.sum()),
        explored=int(leads[columns["explored"].astype(bool) & columns["is_labelled"].astype(bool)].sum()),
        with_outcome_by_decision={
            name: float(some / every)
            for name, (some, every) in zip(("contact", "skip"), by_decision, strict=True)
            if every
        },
        with_outcome_by_tenth=tuple((with_outcome / per_tenth).tolist()) if leads.sum() else (),
        depends_on_decision=False,
        depends_on_score=False,
        about="",
    )
    if rules.complete is None:
        depends = _by_decision(by_decision), _by_score(with_outcome, per_tenth)
    else:
        depends = _too_few_converted(columns["converted"].astype(np.float64), columns["score_sum"], chosen), False
    about = _about(found, depends, rules)
    if rules.outcomes_of == "contacted":
        about += _unreached(columns, leads * (chosen & ~columns["explored"].astype(bool)))
    return msgspec.structs.replace(found, depends_on_decision=depends[0], depends_on_score=depends[1], about=about)


def _unreached(columns: dict[str, npt.NDArray[Any]], above: Counts) -> str:
    """What is to be said where sales contacts some of the leads above the line, which are so many, by their scores."""
    contacted, per_tenth = _tenths(columns["score_bin"], above, above * columns["contacted"].astype(bool))
    if not _by_score(contacted, per_tenth):
        return ""
    shares = contacted / per_tenth
    return (
        f" Of the leads to contact, {shares[-1]:.0%} of the tenth with the highest scores were contacted and "
        f"{shares[0]:.0%} of that with the lowest: the figures do not hold for those that nobody contacted. State what "
        "the team can contact as contacts_per_1000_leads in the lead source"
    ) + "."


def _tenths(bins: npt.NDArray[np.int64], leads: Counts, known: Counts) -> tuple[Counts, Counts]:
    """Leads with an outcome, and all, in tenths by score, lowest first. Leads of one bin stay together."""
    values, place = np.unique(bins, return_inverse=True)
    in_bin, with_outcome = (np.bincount(place, counted, len(values)) for counted in (leads, known))
    middle = np.cumsum(in_bin) - in_bin / 2
    tenth = np.minimum((middle / max(leads.sum(), 1) * DECILES).astype(np.int64), DECILES - 1)
    sums = [np.bincount(tenth, counted, DECILES).astype(np.float64) for counted in (with_outcome, in_bin)]
    there = sums[1] > 0
    return sums[0][there], sums[1][there]


def _by_decision(groups: list[tuple[float, float]]) -> bool:
    table = np.array([[some, every - some] for some, every in groups])
    if not (table.sum(axis=0).all() and table.sum(axis=1).all()):
        return False
    shares = table[:, 0] / table.sum(axis=1)
    return bool(chi2_contingency(table).pvalue < ALPHA and abs(shares[0] - shares[1]) >= MIN_DIFFERENCE)


def _by_score(with_outcome: Counts, leads: Counts) -> bool:
    total, share = leads.sum(), with_outcome.sum() / max(leads.sum(), 1)
    place = np.arange(len(leads))
    spread = (leads @ place**2 - (leads @ place) ** 2 / max(total, 1)) * share * (1 - share)
    if spread <= 0:
        return False
    z = place @ (with_outcome - leads * share) / np.sqrt(spread)
    shares = with_outcome / leads
    return bool(2 * norm.sf(abs(z)) < ALPHA and shares.max() - shares.min() >= MIN_DIFFERENCE)


def _too_few_converted(converted: Counts, promised: Counts, chosen: npt.NDArray[np.bool_]) -> bool:
    """Whether leads not to contact convert far less than their scores say, as seen from those to contact."""
    if not (promised[chosen].sum() and promised[~chosen].sum()):
        return False
    expected = converted[chosen].sum() / promised[chosen].sum() * promised[~chosen].sum()
    found = converted[~chosen].sum()
    return bool(found <= MAX_RATIO * expected and poisson.cdf(found, expected) < ALPHA)


def _about(found: OutcomeSelection, depends: tuple[bool, bool], rules: LabelRules) -> str:
    by_decision, by_score = depends
    count = f"{found.with_outcome:,} of {found.leads:,} leads have an outcome"
    if rules.outcomes_of == "contacted":
        about = (
            f"The figures estimate all scored leads from contacted ones: {count}, and {found.explored:,} of these were "
            "contacted at random"
            if found.explored
            else f"The figures are of contacted leads alone, not of all scored leads: {count}, and none of these was "
            "contacted at random. State exploration.share in the lead source"
        )
    elif by_decision and rules.complete is not None:
        about = (
            "The figures are too high: leads not to contact convert far less than their scores say, as if nobody "
            'contacted them, and count as lost. If they cannot convert, state outcomes_of = "contacted" in the source'
        )
    elif by_decision:
        shares = found.with_outcome_by_decision
        about = (
            f"The figures are of the leads with an outcome, not of all scored leads: {count}, {shares['contact']:.0%} "
            f"of those to contact and {shares['skip']:.0%} of the others. If the others cannot convert, state "
            'outcomes_of = "contacted" in the lead source'
        )
    elif by_score:
        shares_of = found.with_outcome_by_tenth
        about = (
            f"The figures are of the leads with an outcome, not of all scored leads: {count}, {shares_of[-1]:.0%} of "
            f"the tenth with the highest scores and {shares_of[0]:.0%} of that with the lowest"
        )
    else:
        about = f"The figures are of all scored leads: {count}, and decision and score make no difference to that"
    return about + "."
