"""How contacts, conversions and scores differ between the groups that a lead source names for reporting alone."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from service.history import GroupOutcome
from service.lifecycle.evaluation.confidence import share

MIN_LEADS = 200
"""A value of fewer scored leads is pooled with others: its figures say nothing, and may say something of a person."""
MIN_WITH_OUTCOME = 50
"""Leads with an outcome that conversion and calibration need, in effective numbers where they weigh."""
MOST = 20
"""Values of one group that are shown, the largest."""

SUMS = ("leads", "contacted", "labelled", "weight_sum", "square_sum", "weighted_converted", "weighted_score")


def group_outcomes(names: Sequence[str], counts: pa.Table) -> tuple[GroupOutcome, ...]:
    """The figures of each group of these names and each of its values, of the rows of `relations.contacts.groups`."""
    rows = counts.to_pylist()
    return tuple(found for name in names for found in _of(name, [row for row in rows if row["name"] == name]))


def _of(name: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[GroupOutcome]:
    rows = sorted(rows, key=lambda row: (-row["leads"], row["value"]))
    large = [row for row in rows if row["leads"] >= MIN_LEADS][:MOST]
    for row in large:
        yield _outcome(name, row["value"], 0, row)
    if small := rows[len(large) :]:
        yield _outcome(name, None, len(small), {sum_: sum(row[sum_] for row in small) for sum_ in SUMS})


def _outcome(name: str, value: str | None, pooled: int, sums: Mapping[str, Any]) -> GroupOutcome:
    leads, weights = int(sums["leads"]), float(sums["weight_sum"])
    effective = weights**2 / sums["square_sum"] if weights else 0.0
    enough = effective >= MIN_WITH_OUTCOME and leads >= MIN_LEADS
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
