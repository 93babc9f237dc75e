"""How contacts, conversions and scores differ between the groups that a lead source names for reporting alone."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from service.history import GroupOutcome, Weighting
from service.lifecycle.evaluation.confidence import share
from service.lifecycle.evaluation.weighting import MIN_COVERED

MIN_LEADS = 200
"""A value of fewer scored leads is pooled with others: its figures say nothing, and may say something of a person."""
MIN_WITH_OUTCOME = 50
"""Leads with an outcome that conversion and calibration need, in effective numbers where they weigh."""
MOST = 20
"""Values of one group that are shown, the largest."""

SUMS = ("leads", "contacted", "labelled", "weight_sum", "square_sum", "weighted_converted", "weighted_score")


def group_outcomes(
    names: Sequence[str], counts: pa.Table, weighting: Weighting | None = None
) -> tuple[GroupOutcome, ...]:
    """The figures of each group of these names and each of its values, of the rows of `relations.contacts.groups`.

    Where only contacted leads have outcomes, `weighting` says whether enough were explored to tell the conversion of
    all leads. Without that there is none, nor where the weights of a value stand for less than MIN_COVERED of the
    share of its leads that those of all values stand for.
    """
    rows = counts.to_pylist()
    return tuple(
        found for name in names for found in _of(name, [row for row in rows if row["name"] == name], weighting)
    )


def _of(name: str, rows: Sequence[Mapping[str, Any]], weighting: Weighting | None) -> Iterator[GroupOutcome]:
    rows = sorted(rows, key=lambda row: (-row["leads"], row["value"]))
    large = [row for row in rows if row["leads"] >= MIN_LEADS][:MOST]
    if len(rows) - len(large) == 1 and rows[-1]["value"]:
        large = large[:-1]  # the count of the smaller ones would be that of one value
    weights, leads = (sum(row[sum_] for row in rows) for sum_ in ("weight_sum", "leads"))
    least = None if weighting is None else MIN_COVERED * weights / leads if weighting.enough else math.inf
    for row in large:
        yield _outcome(name, row["value"], 0, row, least)
    small = rows[len(large) :]
    if len(small) == 1 and not small[0]["value"]:  # leads that no file has a value of
        yield _outcome(name, "", 0, small[0], least)
    elif small:
        yield _outcome(name, None, len(small), {sum_: sum(row[sum_] for row in small) for sum_ in SUMS}, least)


def _outcome(name: str, value: str | None, pooled: int, sums: Mapping[str, Any], least: float | None) -> GroupOutcome:
    leads, weights = int(sums["leads"]), float(sums["weight_sum"])
    effective = weights**2 / sums["square_sum"] if weights else 0.0
    enough = effective >= MIN_WITH_OUTCOME and leads >= MIN_LEADS and (least is None or weights / leads >= least)
    return GroupOutcome(
        group=name,
        value=value,
        pooled=pooled,
        leads=leads,
        with_outcome=int(sums["labelled"]),
        contact_rate=share(sums["contacted"], leads) if leads >= MIN_LEADS else None,
        conversion=share(sums["weighted_converted"] / weights * effective, effective) if enough else None,
        mean_score=sums["weighted_score"] / weights if enough else None,
    )
