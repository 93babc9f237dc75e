import re
from typing import Any

import pytest

from service.history import ContactGroup, Decision, DriftCheck, Estimate, Evaluation, OutcomeSelection
from service.lifecycle.reporting.sheet import SHOWN, Sheet, WeekHistory, headline, sheet
from tests.facts import states
from tests.service.lifecycle.reporting.entries import DAY, NOW, contacts, decision, drift, evaluation

JARGON = re.compile(r"\b(roc|auc|brier|p-value|calibrat\w*|quantile|confidence|bootstrap|psi|stratum)\b", re.IGNORECASE)


def report(
    entry: Evaluation | None = None,
    decisions: tuple[Decision, ...] = (),
    check: DriftCheck | None = None,
    before: Evaluation | None = None,
) -> Sheet:
    return sheet(WeekHistory(NOW, entry or evaluation(), before, decisions, check))


def text(found: Sheet) -> str:
    parts = [found.title, found.about, found.headline]
    for section in found.sections:
        parts += [section.title, *section.sentences, *section.header, *(cell for row in section.rows for cell in row)]
    return "\n".join(parts)


@pytest.mark.parametrize(
    ("more", "facts"),
    [
        ({}, ["earned 31,000, give or take 4,000, more"]),
        ({"earned": Estimate(-9_000.0, -12_000.0, -6_000.0)}, ["earned 9,000, give or take 3,000, less"]),
        ({"earned": Estimate(900.0, -2_100.0, 3_900.0)}, ["cannot be told yet", "1,000, give or take 3,000"]),
        ({"earned": None, "no_estimate": "nobody was contacted at random"}, ["not known: nobody was contacted"]),
    ],
)
def test_the_headline_says_how_sure_it_is(more: dict[str, Any], facts: list[str]) -> None:
    states(headline(contacts(**more)), *facts)


def test_without_an_estimate_there_is_no_amount_for_random_calls() -> None:
    unknown = contacts(earned=None, no_estimate="nobody was contacted at random")
    brought = report(evaluation(contacts=unknown)).sections[0]
    assert brought.rows == (("the model's contacts", "9,240", "243,300", "92,400", "150,900"),)
    assert brought.sentences == ()


def test_random_calls_stand_beside_the_models_and_last_weeks_report_below() -> None:
    week_before = evaluation(NOW - 7 * DAY, contacts=contacts(earned=Estimate(28_900.0, 24_000.0, 33_000.0)))
    brought = report(before=week_before).sections[0]
    assert brought.rows[1] == ("as many at random, estimated", "9,240", "212,066", "92,400", "119,666")
    states(brought.sentences, "31,234", "27,300", "35,050")
    states(brought.sentences, "29,000, give or take 5,000")


def test_whom_sales_contacted_goes_by_who_chose_them() -> None:
    called = report().sections[1]
    assert [row[1:] for row in called.rows] == [
        ("9,120", "8,800", "2,410", "27.4%"),
        ("455", "440", "23", "5.2%"),
        ("120", "110", "12", "10.9%"),
    ]
    states(called.sentences, "84,000 leads", "310 leads")
    none = ContactGroup(contacted=0, with_outcome=0, converted=0)
    guessed = report(evaluation(contacts=contacts(from_files=False, groups=dict.fromkeys(contacts().groups, none))))
    assert guessed.sections[1].rows[0][1:] == ("0", "0", "0", "")
    states(guessed.sections[1].sentences, "No list of calls")
    assert not any("missing" in sentence for sentence in called.sentences)
    doubted = report(evaluation(contacts=contacts(doubt="1 list of contacts could not be read"))).sections[1]
    states(doubted.sentences, "may be missing", "1 list")


def test_the_data_section_says_what_is_missing() -> None:
    whole = report(evaluation(set_aside={"outcomes": 0})).sections[3].sentences
    states(whole, "All scores were recorded")
    states(whole, "No row had to be set aside")
    broken = evaluation(
        NOW - 3 * DAY,
        complete=False,
        missing_records=0.031,
        set_aside={"outcomes": 1_012, "contacts": 0},
        taken_as_lost=7,
    )
    found = report(broken).sections[3].sentences
    states(found, "3.1%", "not recorded")
    states(found, "1,012 of outcomes")
    states(found, "1,200 leads", "7 others")
    states(found, "old", "27 February 2026")
    assert not any("old" in sentence for sentence in whole)
    assert not any("of contacts" in sentence for sentence in found)
    states(report(evaluation(complete=None)).sections[3].sentences, "was not checked")


@pytest.mark.parametrize(
    ("entry", "fact"), [(None, "no evaluation"), (evaluation(contacts=None), "does not count contacts")]
)
def test_what_is_not_evaluated_is_not_known_yet(entry: Evaluation | None, fact: str) -> None:
    found = sheet(WeekHistory(NOW, entry, None, (decision("promoted", before=None),), drift(True, "age")))
    states(found.headline, "not known yet", fact)
    assert [section.title for section in found.sections] == ["The model"]
    states(found.sections[0].sentences, "first model")
    states(found.sections[0].sentences, "differ", "age")


@pytest.mark.parametrize(
    ("more", "facts"),
    [
        ({"explored": 440, "depends_on_decision": True}, ["440", "contacted at random", "all are estimated"]),
        ({"depends_on_decision": True}, ["holds for these leads alone"]),
        ({"depends_on_score": True}, ["holds for these leads alone"]),
        ({}, ["the others are like them"]),
    ],
)
def test_the_data_section_says_of_whom_the_report_holds(more: dict[str, Any], facts: list[str]) -> None:
    given: dict[str, Any] = {"explored": 0, "depends_on_decision": False, "depends_on_score": False} | more
    selection = OutcomeSelection(
        leads=84_000,
        with_outcome=9_350,
        with_outcome_by_decision={},
        with_outcome_by_tenth=(),
        about='State outcomes_of = "contacted"',
        **given,
    )
    data = report(evaluation(selection=selection)).sections[3].sentences
    states(data, "9,350 of 84,000", *facts)
    assert not any("outcomes_of" in sentence for sentence in data)


def test_drift_is_said_in_plain_words() -> None:
    states(report(check=drift(True, "channel", "age")).sections[2].sentences, "differ", "channel, age")
    states(report(check=drift(False, "channel")).sections[2].sentences, "are like those")
    states(report().sections[2].sentences, "not checked")


def test_no_report_needs_statistics_to_be_read() -> None:
    gain = {"gain.roc_auc": Estimate(0.03, 0.01, 0.05), "gain.brier": Estimate(0.01, -0.01, 0.02)}
    decisions = tuple(
        decision(action, trigger, figures=figures)
        for action in ("promoted", "refused", "rolled_back", "kept")
        for trigger in ("schedule", "drift", "calibration")
        for figures in ({}, gain)
    )
    for made in decisions:
        assert not JARGON.search(text(report(decisions=(made,), check=drift(True, "age"))))


def test_a_busy_week_still_fits_the_page() -> None:
    model = report(decisions=tuple(decision("refused", days=i / 4) for i in range(25))).sections[2]
    assert len(model.sentences) == SHOWN + 1
    states(model.sentences[-1], "21 more")
