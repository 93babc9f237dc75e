"""What a soak must show, and whether it did."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple

from service.records import PredictionRecord
from tests.soak.load import Ledger

FLAT = 1.10
"""How many times its memory of the second quarter an instance may take in the last one; the first is its warm-up."""


class Limit(NamedTuple):
    """What was counted or measured, and the least or most that it may be."""

    name: str
    value: float
    least: float
    most: float

    @property
    def met(self) -> bool:
        """Whether it lies between them."""
        return self.least <= self.value <= self.most


def judge(
    ledger: Ledger, records: Iterable[PredictionRecord[Any]], memory_mb: Sequence[float], versions: int
) -> list[Limit]:
    """All limits of a soak over so many versions; `memory_mb` is of the instance that lived through."""
    kept = Counter[str]()
    differ = 0
    for record in records:
        kept[record.lead_id] += 1
        acknowledged = ledger.acknowledged.get(record.lead_id)
        differ += acknowledged is not None and acknowledged != (record.score, record.model_version)
    served = {version for _, version in ledger.acknowledged.values()}
    return [
        Limit("errors other than of killed connections", len(ledger.errors), 0, 0),
        Limit("scores other than of the version named", len(ledger.wrong), 0, 0),
        Limit("acknowledged scores without a record", len(ledger.acknowledged.keys() - kept.keys()), 0, 0),
        Limit("records that differ from the answer, or are doubled", differ + sum(n > 1 for n in kept.values()), 0, 0),
        Limit("versions that answered", len(served), versions, versions),
        Limit("memory, last quarter : second quarter", growth(memory_mb), 0, FLAT),
    ]


def growth(memory_mb: Sequence[float]) -> float:
    """Median of the last quarter over that of the second; infinite where too little was measured."""
    quarter = len(memory_mb) // 4
    if quarter < 2:
        return float("inf")
    return median(memory_mb[-quarter:]) / median(memory_mb[quarter : 2 * quarter])
