"""What was decided about the model and why, in plain words, for sales.

The history's reasons and authors are left out: jobs write them for those who train, and people write what they like.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from service.history import Decision, Estimate
from service.lifecycle.reporting.words import amount, counted, day, more

TRIGGERS = {
    "schedule": "as planned",
    "drift": "because the leads had changed",
    "calibration": "because the old one's chances did not match what happened",
    "hand": "by hand",
}
PROFIT, BRIER = "gain.profit", "gain.brier"


def changes(decisions: Sequence[Decision], since: datetime) -> Iterator[str]:
    """A sentence for each decision since then, oldest first; those that left all as it was together."""
    recent = [decision for decision in decisions if decision.time >= since]
    if not any(decision.action in ("promoted", "rolled_back") for decision in recent):
        yield "The model did not change this week."
    for decision in recent:
        if decision.action != "kept":
            yield _sentence(decision)
    if kept := sum(decision.action == "kept" for decision in recent):
        yield f"At {counted(kept, 'check')} no new model was trained."


def _sentence(decision: Decision) -> str:
    start = f"On {day(decision.time)}"
    if decision.action == "refused":
        trained = f"{start} a new model was trained {TRIGGERS[decision.trigger]}"
        return f"{trained} and not put in service: {_refusal(decision)}."
    if decision.action == "rolled_back":
        return f"{start} an earlier model was put in service again {TRIGGERS[decision.trigger]}."
    if decision.before is None:
        return f"{start} the first model was put in service."
    return f"{start} a new model was put in service {TRIGGERS[decision.trigger]}{_gain(decision)}."


def _gain(decision: Decision) -> str:
    """What the comparison found; "" for a model that was put in service without one."""
    if (profit := decision.figures.get(PROFIT)) and profit.low > 0:
        return (
            ": on the same leads it would have earned more than the one before, "
            f"by {amount(profit.low)} to {amount(profit.high)} for 1,000 leads"
        )
    better = [name for name, gain in _gains(decision) if gain.low > 0]
    if any(name != BRIER for name in better):
        return ": on the same leads it recognized those who convert better than the one before"
    return ": the chances that it gives are nearer to what happens" if better else ""


def _refusal(decision: Decision) -> str:
    if not decision.figures:
        few = decision.reason.startswith("too few")
        return (
            "too few leads have an outcome to compare the two" if few else "it failed a check before it could be used"
        )
    if any(gain.low > 0 for _, gain in _gains(decision)):
        return "it may be better for all leads together, but not surely enough, or a large group would fare worse"
    if profit := decision.figures.get(PROFIT):
        return (
            "it is not surely better than the present one, which stays: on the same leads it would have earned "
            f"between {more(profit.low)} and {more(profit.high)} for 1,000 leads{_power(decision)}"
        )
    return f"it is not surely better than the present one, which stays{_power(decision)}"


def _power(decision: Decision) -> str:
    """Whether the comparison had enough leads for the least gain that is worth finding; nothing in older entries."""
    power = decision.power
    if power is None:
        return ""
    leads = f"; the {power.leads:,} leads of the comparison"
    if power.enough:
        return f"{leads} would have shown the least gain that is worth it in four of five cases"
    return f"{leads} are too few to show the least gain that is worth it: some {power.leads_needed:,} are needed"


def _gains(decision: Decision) -> list[tuple[str, Estimate]]:
    return [(name, figure) for name, figure in decision.figures.items() if name.startswith("gain.")]
