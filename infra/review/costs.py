"""What the resources of a plan cost a month, as far as a small dated table of list prices goes."""

import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TABLE = tomllib.loads(Path(__file__).with_name("prices.toml").read_text())
READ = _TABLE.pop("read")  # the day
MISSING = "MISSING"


@dataclass(frozen=True, slots=True)
class CostLine:
    """One entry of the table for the resources of its type."""

    item: str
    before: int
    after: int
    usd_before: float | None  # None: the price is missing
    usd_after: float | None
    source: str
    leaves_out: str


def estimate(before: Iterable[str], after: Iterable[str]) -> list[CostLine]:
    """A line for each price of the resources before and after, which are given by their addresses in their stacks."""
    old, new = _counted(before), _counted(after)
    return [
        CostLine(
            item=price["item"],
            before=old[priced],
            after=new[priced],
            usd_before=_usd(price, old[priced]),
            usd_after=_usd(price, new[priced]),
            source=price["source"],
            leaves_out=price["leaves_out"],
        )
        for priced, price in _TABLE.items()
        if old[priced] or new[priced]
    ]


def unpriced(addresses: Iterable[str]) -> list[str]:
    """The types that the table does not know: free, or not looked up."""
    return sorted({address.partition(".")[0] for address in addresses if address not in _TABLE} - _TABLE.keys())


def _counted(addresses: Iterable[str]) -> Counter[str]:
    """How often each type and each address is there."""
    return Counter(part for address in addresses for part in {address, address.partition(".")[0]})


def _usd(price: dict[str, float | int | str], count: int) -> float | None:
    if count == 0:
        return 0.0
    if price["usd"] == MISSING:
        return None
    first = int(price.get("first", 0))
    return float(price.get("first_usd", 0)) + float(price["usd"]) * max(0, count - first)
