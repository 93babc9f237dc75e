"""Error budgets: what is left of what a promise allows to go wrong in its period, and tickets that report it spent.

1 is all of the budget, 0 none, and below 0 the promise is broken. The expressions look back over the whole period.
Cloud Monitoring evaluates policies over up to two years of data, beyond 25 hours every five minutes at best
(https://docs.cloud.google.com/monitoring/alerts/using-promql): enough for a ticket, not for a page
(`monitoring.limits`).
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from monitoring.alerts import Alert, Severity
from monitoring.promql.text import duration, number
from monitoring.slos import Slo

HALF = Fraction(1, 2)
SLICE = timedelta(minutes=5)  # of a promise about time
SAMPLED = timedelta(hours=1)  # a budget looks at one slice an hour: 672 in four weeks, instead of 8,064
_SLICES = f":{duration(SLICE)}]"


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """The error budget of a promise."""

    slo: Slo

    @property
    def counts_time(self) -> bool:
        """Whether the promise is about time, counted in slices, and not about requests."""
        return _SLICES in self.slo.bad

    @property
    def bad(self) -> str:
        """PromQL: bad events in the period; of a promise about time, bad hours."""
        return self._within(self.slo.bad)

    @property
    def left(self) -> str:
        """PromQL: the share of the budget that is left. No value while nothing went wrong."""
        allowed = number(1 - self.slo.objective)
        if self.counts_time:
            # All of the period's hours count from the first deploy on: one bad hour does not spend a new service's.
            return f"1 - {self.bad} / {number((1 - self.slo.objective) * (self.slo.period // SAMPLED))}"
        return f"1 - {self.bad} / ({allowed} * {self._within(self.slo.total)})"

    @property
    def panel(self) -> str:
        """The title of its panel."""
        words = re.sub(r"(?<!^)(?=[A-Z])", " ", self.slo.name).lower()
        return f"Budget left: {words}"

    def outage(self) -> timedelta:
        """How long everything may go wrong until the budget is spent, at even traffic."""
        return float(1 - self.slo.objective) * self.slo.period

    def alerts(self) -> tuple[Alert, ...]:
        """A ticket when half of it is spent, and one when all of it is."""
        period = duration(self.slo.period)
        told = (
            ("BudgetHalfSpent", HALF, f"more than half of the error budget of {period} is spent"),
            ("BudgetSpent", Fraction(0), f"the error budget of {period} is spent and the promise is broken"),
        )
        return tuple(
            Alert(
                name=self.slo.name + name,
                expr="\nand\n".join(self._conditions(least)),
                hold=timedelta(0),
                severity=Severity.TICKET,
                summary=f"{self.slo.symptom}: {what}.",
                runbook=self.slo.runbook,
                panel=self.panel,
            )
            for name, least, what in told
        )

    def _conditions(self, least: Fraction) -> list[str]:
        conditions = [f"{self.left} < {number(least)}"]
        if self.slo.minimum_bad and not self.counts_time:
            conditions.append(f"{self.bad} >= {self.slo.minimum_bad}")
        return conditions

    def _within(self, expr: str) -> str:
        hourly = expr.replace(_SLICES, f":{duration(SAMPLED)}]")
        return hourly.replace("{window}", duration(self.slo.period))
