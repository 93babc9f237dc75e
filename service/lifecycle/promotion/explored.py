"""Which leads can stand for all where only contacted ones have outcomes: of a time, and with, enough explored leads."""

from math import ceil

import numpy as np
import pandas as pd

from service.lifecycle.data.leads import Leads
from service.lifecycle.evaluation.labelled import FEWEST, LabelledLeads
from service.lifecycle.evaluation.weighting import MAX_BELOW, MIN_EFFECTIVE, MIN_EXPLORED
from service.lifecycle.training.selection import Rows


def since_exploring(matured: LabelledLeads, rows: Rows) -> Rows:
    """Those of the leads that are the source's own, or were scored since any was explored.

    Before that nobody below the line has an outcome.
    """
    if matured.strata is None or matured.leads.times is None:
        return rows
    before = (matured.place == 0) & np.asarray(matured.leads.times < pd.Timestamp(matured.strata.since))
    later: Rows = rows[~before[rows]]
    return later


def recent_since(matured: LabelledLeads, rows: Rows) -> pd.DataFrame | None:
    """The leads scored since the first of these, with or without an outcome; None where these are unknown or few."""
    if matured.recent is None or matured.leads.times is None:
        return None
    since = np.asarray(matured.recent.times >= matured.leads.times[rows].min())
    return matured.recent.frame[since].reset_index(drop=True) if since.sum() >= FEWEST else None


def holding_enough(leads: Leads, rows: Rows) -> int:
    """How many of the last of these leads hold enough explored ones; 0 where all of them do not."""
    if leads.contact_weights is None or leads.explored is None or not len(rows):
        return 0
    weights, explored = leads.contact_weights[rows][::-1], leads.explored[rows][::-1]
    effective = np.cumsum(weights) ** 2 / np.cumsum(weights**2)
    enough = (np.cumsum(explored) >= MIN_EXPLORED) & (effective >= MIN_EFFECTIVE)
    return int(np.argmax(enough)) + 1 if enough.any() else 0


def too_few_explored(matured: LabelledLeads, rows: Rows) -> str | None:
    """Why these leads cannot stand for those that nobody contacted; None if they can, or are all the source's own."""
    leads, scored = matured.leads, matured.place[rows] == 0
    if not scored.any():
        return None
    explored = 0 if leads.explored is None else int(leads.explored[rows].sum())
    if matured.strata is None or leads.contact_weights is None or leads.times is None or not explored:
        return (
            "only contacted leads have outcomes, and none of these was contacted at random, so nobody knows how the "
            "others convert: state exploration.share in the lead source"
        )
    weights, times = leads.contact_weights[rows], leads.times[rows][scored]
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    short = max(MIN_EXPLORED / explored, MIN_EFFECTIVE / effective)
    if short <= 1 or matured.strata.below <= MAX_BELOW:
        return None
    missing = max(1, ceil((times.max() - times.min()) / pd.Timedelta(days=1) * (short - 1)))
    return (
        f"only contacted leads have outcomes, and too few of these were contacted at random: {explored:,}, with an "
        f"effective sample size of {effective:,.0f}; {MIN_EXPLORED} and {MIN_EFFECTIVE} are needed. At the present "
        f"rate that takes {missing:,} more days"
    )
