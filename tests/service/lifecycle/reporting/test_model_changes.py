import re
from typing import Any

import msgspec
import pytest

from service.history import Estimate, Power
from service.lifecycle.reporting.model_changes import TRIGGERS, changes
from tests.facts import states
from tests.service.lifecycle.reporting.entries import DAY, NOW, decision

BETTER, UNSURE = {"gain.profit": Estimate(90.0, 40.0, 140.0)}, {"gain.profit": Estimate(10.0, -120.0, 140.0)}
RANKS = {"gain.roc_auc": Estimate(0.03, 0.01, 0.05)}
CLOSER = {"gain.profit": Estimate(10.0, -9.0, 20.0), "gain.brier": Estimate(0.01, 0.005, 0.02)}

FEW = Power(
    metric="profit",
    leads=1_800,
    converted=200,
    look=1,
    error=300.0,
    detectable=1_000.0,
    interesting=600.0,
    leads_needed=5_200,
)
MANY = msgspec.structs.replace(FEW, detectable=500.0)


@pytest.mark.parametrize(
    ("action", "trigger", "more", "facts"),
    [
        ("promoted", "schedule", {"figures": BETTER}, ["as planned", "earned more", "by 40 to 140 for 1,000 leads"]),
        ("promoted", "drift", {"figures": RANKS}, ["the leads had changed", "recognized those who convert better"]),
        ("promoted", "calibration", {"figures": CLOSER}, ["did not match what happened", "nearer to what happens"]),
        ("promoted", "hand", {"figures": RANKS}, ["by hand: on the same leads it recognized"]),
        ("promoted", "hand", {}, ["a new model was put in service by hand."]),
        ("promoted", "hand", {"before": None, "author": "service.lifecycle.train"}, ["the first model was"]),
        ("rolled_back", "hand", {}, ["an earlier model was put in service again by hand."]),
        ("refused", "schedule", {"figures": UNSURE}, ["not surely better", "between 120 less and 140 more"]),
        ("refused", "schedule", {"figures": UNSURE, "power": FEW}, ["1,800 leads", "too few", "some 5,200 are needed"]),
        ("refused", "schedule", {"figures": UNSURE, "power": MANY}, ["1,800 leads", "in four of five cases"]),
        ("refused", "schedule", {"figures": BETTER}, ["a large group would fare worse"]),
        ("refused", "drift", {"reason": "too few leads that neither has seen: 9"}, ["too few leads have an outcome"]),
        ("refused", "drift", {"reason": "row 3 differs"}, ["failed a check"]),
    ],
)
def test_each_decision_is_one_plain_sentence_with_its_day(
    action: str, trigger: str, more: dict[str, Any], facts: list[str]
) -> None:
    found = list(changes([decision(action, trigger, **more)], NOW - 7 * DAY))
    states(found[-1], "On 28 February 2026", *facts)
    assert ("The model did not change this week." in found) == (action == "refused")


@pytest.mark.parametrize("action", ["promoted", "rolled_back", "refused", "kept"])
@pytest.mark.parametrize("author", ["ann", "service.lifecycle.retrain", "service.lifecycle.train"])
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_neither_what_people_wrote_nor_what_jobs_are_called_reaches_sales(
    action: str, author: str, trigger: str
) -> None:
    for figures in ({}, BETTER, RANKS):
        made = decision(action, trigger, author=author, reason="Bob calls too few; roc_auc .7", figures=figures)
        (*_, found) = changes([made], NOW - 7 * DAY)
        assert not re.search(r"ann\b|Bob|roc_auc|service\.|lifecycle|says", found)


def test_older_decisions_are_left_out_and_checks_that_changed_nothing_are_counted() -> None:
    made = [decision("promoted", days=8), *(decision("kept", days=day) for day in (6, 4, 2))]
    assert list(changes(made, NOW - 7 * DAY)) == [
        "The model did not change this week.",
        "At 3 checks no new model was trained.",
    ]
