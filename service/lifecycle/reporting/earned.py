"""Whom sales contacted, and what that earned more than as many contacts at random would have.

All is counted from the rows of `relations.outcomes.SELECTION_COUNTS`: leads of an age at which outcomes are final.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from service.history import ContactGroup, Contacts, Estimate, OutcomeSelection
from service.lifecycle.evaluation.confidence import share
from service.lifecycle.evaluation.quality import Mask, Scores
from service.lifecycle.evaluation.weighting import MIN_COVERED, MIN_EXPLORED, covered_share
from service.lifecycle.relations.outcomes import LabelRules
from service.model.bundle import Economics

MIN_CONTACTED = 50
"""Leads contacted by the line with an outcome that an estimate for all leads needs, besides explored ones."""


def contacts(
    counts: pa.Table, rules: LabelRules, economics: Economics, selected: OutcomeSelection, doubt: str = ""
) -> Contacts:
    """Contacts by who chose them, and what those that the model chose earned more than as many at random.

    `doubt` says why contacts may be missing.
    """
    found = _Counts.of(counts)
    groups = {"line": found.by_line, "exploration": found.explored, "sales": found.unchosen}
    model = found.by_line | found.explored
    known = model & found.contacted & found.labelled
    why = _no_estimate(found, rules, selected)
    return Contacts(
        from_files=rules.contact_log,
        leads=round(found.sum("leads")),
        groups={name: found.group(found.contacted & mask) for name, mask in groups.items()},
        not_reached=round(found.sum("leads", model & ~found.contacted)),
        revenue=economics.conversion_value * found.sum("converted", known),
        cost=economics.contact_cost * found.sum("leads", known),
        earned=None if why else _earned(found, rules, economics.conversion_value),
        no_estimate=why,
        doubt=doubt,
    )


@dataclass(frozen=True)
class _Counts:
    """The columns of the relation's rows, and which rows are of which leads."""

    columns: dict[str, Scores]
    contacted: Mask
    labelled: Mask
    by_line: Mask
    explored: Mask

    @classmethod
    def of(cls, counts: pa.Table) -> "_Counts":
        columns = {name: counts[name].to_numpy(zero_copy_only=False) for name in counts.column_names}
        flags = {name: columns[name].astype(bool) for name in ("contacted", "is_labelled", "is_chosen", "explored")}
        sums = ("leads", "converted", "weight_sum", "square_sum", "weighted_converted")
        return cls(
            {name: columns[name].astype(np.float64) for name in sums},
            flags["contacted"],
            flags["is_labelled"],
            flags["is_chosen"] & ~flags["explored"],
            flags["explored"],
        )

    @property
    def unchosen(self) -> Mask:
        return ~(self.by_line | self.explored)

    def sum(self, name: str, rows: Mask | None = None) -> float:
        return float(self.columns[name].sum() if rows is None else self.columns[name][rows].sum())

    def group(self, rows: Mask) -> ContactGroup:
        return ContactGroup(
            contacted=round(self.sum("leads", rows)),
            with_outcome=round(self.sum("leads", rows & self.labelled)),
            converted=round(self.sum("converted", rows & self.labelled)),
        )


def _no_estimate(found: _Counts, rules: LabelRules, selected: OutcomeSelection) -> str:
    """Why the contacts cannot be compared with contacts at random; "" where they can."""
    known = found.labelled & found.contacted
    by_line, explored = (found.sum("leads", known & rows) for rows in (found.by_line, found.explored))
    if by_line < MIN_CONTACTED:
        return f"only {by_line:,.0f} contacts have an outcome so far; {MIN_CONTACTED} are needed"
    if rules.outcomes_of == "contacted":
        if not explored:
            return "nobody is contacted at random, so nobody knows how the leads convert that are not contacted"
        if explored < MIN_EXPLORED:
            return (
                f"only {explored:,.0f} leads that were contacted at random have an outcome so far; "
                f"{MIN_EXPLORED} are needed"
            )
        covered = covered_share(
            found.sum("weight_sum", known & found.explored),
            found.sum("leads", ~found.by_line),
            found.sum("leads", known & found.by_line),
            found.sum("leads", found.by_line),
        )
        if covered < MIN_COVERED:
            return f"contacts at random were possible for {covered:.0%} of the leads below the line only"
    elif selected.depends_on_decision:
        return "leads that are not contacted have fewer outcomes than the others, so they cannot be compared"
    return ""


def _earned(found: _Counts, rules: LabelRules, value: float) -> Estimate:
    """What the model's contacts earned more than as many at random: value x (conversions - contacts x rate of all).

    The leads are of strata: contacted by the line, contacted by exploration, others. Where outcomes are those of
    contacted leads, the contacted ones stand for the leads above the line, and the explored ones for all below it. Each
    has a conversion rate with Wilson's interval at Kish's effective number of its leads, and counts as the number of
    leads that it stands for; the sum's interval is by MOVER, the method of variance estimates recovery (G. Y. Zou and
    A. Donner, Statistics in Medicine 27, 2008). Unlike a bootstrap it is not empty where none of a few explored leads
    converted.
    """
    made = found.contacted & found.by_line, found.contacted & found.explored
    if rules.outcomes_of == "contacted":
        strata = [(made[0], found.by_line), (made[1], ~found.by_line)]
    else:
        others = ~(made[0] | made[1])
        strata = [(made[0], made[0]), (made[1], made[1]), (others, others)]
    strata = [(rows & found.labelled, stands_for) for rows, stands_for in strata]
    strata = [(rows, stands_for) for rows, stands_for in strata if found.sum("weight_sum", rows)]
    leads = sum(found.sum("leads", stands_for) for _, stands_for in strata)
    contacts = sum(found.sum("leads", rows & found.labelled) for rows in made)
    gain, below, above = 0.0, 0.0, 0.0
    for rows, stands_for in strata:
        weights, random = found.sum("weight_sum", rows), contacts * found.sum("leads", stands_for) / leads
        effective = weights**2 / found.sum("square_sum", rows)
        rate = found.sum("weighted_converted", rows) / weights
        spread = share(rate * effective, effective)
        mine = rows & (made[0] | made[1])
        factor = found.sum("leads", mine) - random
        ends = sorted((factor * (spread.low - rate), factor * (spread.high - rate)))
        gain += found.sum("converted", mine) - random * rate
        below, above = below + ends[0] ** 2, above + ends[1] ** 2
    return Estimate(value * gain, value * (gain - below**0.5), value * (gain + above**0.5))
