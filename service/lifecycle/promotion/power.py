"""How small a gain a comparison could show: its power, and how many leads the least interesting gain needs."""

from dataclasses import dataclass
from math import ceil
from statistics import NormalDist

from service.history import Power
from service.lifecycle.data.source import INTERESTING_GAIN, Metric
from service.lifecycle.evaluation.formatting import number, spoken
from service.lifecycle.evaluation.quality import Target
from service.lifecycle.evaluation.regressions import level

SURE = 0.8
"""How likely a gain is found that counts as detectable."""


@dataclass(frozen=True)
class Look:
    """The comparisons of challengers with one champion are numbered, from 1 on; they look for an `interesting` gain.

    `leads` is how many the one before found necessary for that, None: nobody knows yet.
    """

    number: int = 1
    interesting: float = INTERESTING_GAIN
    leads: int | None = None

    @property
    def beyond(self) -> float:
        """How many standard errors are beyond noise."""
        return NormalDist().inv_cdf(1 - level(self.number))


def measured(metric: Metric, target: Target, error: float, least: float, interesting: float, look: Look) -> Power:
    """The power where the gain has this standard error and must be more than the `least`; both in the metric's unit."""
    errors = look.beyond + NormalDist().inv_cdf(SURE)
    needed = (interesting - least) / errors
    return Power(
        metric=metric,
        leads=len(target),
        converted=int(target.sum()),
        look=look.number,
        error=error,
        detectable=least + errors * error,
        interesting=interesting,
        leads_needed=ceil(len(target) * (error / needed) ** 2) if needed > 0 else len(target),
    )


def found_by(power: Power) -> str:
    """How small a gain the leads could show, against the source's least interesting one, as part of a sentence."""
    detectable, interesting = (number(power.metric, gain) for gain in (power.detectable, power.interesting))
    said = (
        f"look {power.look} at this champion, on {power.leads:,} leads of which {power.converted:,} converted, finds a "
        f"gain in {spoken(power.metric)} of {detectable} in {SURE:.0%} of cases; the least interesting is {interesting}"
    )
    return said if power.enough else f"{said}, which needs {power.leads_needed:,} leads"
