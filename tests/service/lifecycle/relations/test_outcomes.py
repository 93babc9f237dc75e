"""Labels and contacts are those of the row-wise reference, in small worlds with every kind of edge."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from service.lifecycle.relations.contacts import CONTACT_ROWS, CONTACTS
from service.lifecycle.relations.outcomes import OUTCOME_ROWS, LabelRules, labelled, outcomes
from tests.service.lifecycle.relations import row_wise
from tests.service.lifecycle.relations.agreement import LABEL_COLUMNS
from tests.service.lifecycle.relations.labelled_leads import Tables

DAY = timedelta(days=1)
DAWN = datetime(2026, 3, 2, tzinfo=UTC)
SCORED = DAWN + timedelta(hours=9)
TIMES = st.integers(-6, 12).map(lambda sixths: DAWN + sixths * timedelta(hours=4))
LEADS = st.sampled_from(["a", "a", "b", "c"])
FIRST_SCORES = pa.schema(
    [
        ("lead_key", pa.string()),
        ("time", pa.timestamp("us", "UTC")),
        ("score", pa.float64()),
        ("decision", pa.string()),
        ("policy", pa.string()),
        ("probability", pa.float64()),
    ]
)
Row = dict[str, Any]


@st.composite
def first_score(draw: st.DrawFn) -> Row:
    return {
        "lead_key": draw(LEADS),
        "time": draw(TIMES),
        "score": draw(st.sampled_from([0.0, 0.1, 0.5, 1.0])),
        "decision": draw(st.sampled_from(["contact", "skip"])),
        "policy": draw(st.sampled_from([None, "line", "explore"])),
        "probability": draw(st.sampled_from([None, 1.0, 0.25, 1e-9])),
    }


@st.composite
def outcome(draw: st.DrawFn) -> Row:
    file, time = draw(st.integers(0, 2)), draw(TIMES | st.none())
    return {"lead_key": draw(LEADS), "converted": draw(st.none() | st.booleans()), "time": time, "file_number": file}


@st.composite
def contact(draw: st.DrawFn) -> Row:
    return {"lead_key": draw(LEADS), "time": draw(TIMES | st.none()), "file_number": 0}


def rows_in(rows: list[Row], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(
        [{name: row.get(name) for name in schema.names} | {"row": number} for number, row in enumerate(rows)],
        schema=schema,
    )


def related(first: list[Row], said: list[Row], called: list[Row], rules: LabelRules) -> dict[str, list[Row]]:
    engine = Tables(
        first_scores=rows_in(first, FIRST_SCORES),
        outcome_rows=rows_in(said, OUTCOME_ROWS),
        contact_rows=rows_in(called, CONTACT_ROWS),
    )
    engine.define([*outcomes(), CONTACTS, *labelled(["lead_key", "score"], rules)])
    names = ["outcomes", "contacts", "scored_outcomes", "label_counts", "selection_counts"]
    return {name: table.to_pylist() for name, table in engine.results(names).items()}


def label(said: list[Row], called: list[Row] | None = None, rules: dict[str, Any] | None = None, **more: Any) -> Row:
    """The one lead, scored at 9, as it is labelled after two days."""
    row = {"lead_key": "a", "time": SCORED, "score": 0.5, "decision": "contact"} | more
    found = related(
        [row],
        [{"lead_key": "a", "file_number": 0} | each for each in said],
        [{"lead_key": "a", "file_number": 0} | each for each in called or []],
        LabelRules(SCORED + 9 * DAY, 2 * DAY)._replace(**rules or {}),
    )
    return found["scored_outcomes"][0]


@given(
    st.lists(first_score(), max_size=4, unique_by=lambda row: row["lead_key"]),
    st.lists(outcome(), max_size=8),
    st.lists(contact(), max_size=4),
    st.tuples(
        *(TIMES, st.sampled_from([0, 1, 2]), TIMES | st.none(), st.sampled_from(["all", "contacted"]), st.booleans()),
        st.sampled_from(["UTC", "Asia/Dubai"]),
    ),
)
@settings(max_examples=60, deadline=None)
def test_labels_are_those_of_the_row_wise_reference(
    first: list[Row], said: list[Row], called: list[Row], drawn: tuple[Any, ...]
) -> None:
    ripe, days, *others = drawn
    rules = LabelRules(ripe, days * DAY, *others)
    found = related(first, said, called, rules)
    states, times, _ = row_wise.outcomes_of([row | {"row": number} for number, row in enumerate(said)])
    contacts = row_wise.contacts(called, first)
    scored = row_wise.scored_outcomes(first, states, times, contacts, rules)
    assert {row["lead_key"]: (row["state"], row["time"]) for row in found["outcomes"]} == {
        lead: (state, times[lead]) for lead, state in states.items()
    }
    assert {row["lead_key"]: row["time"] for row in found["contacts"]} == contacts
    assert {row["lead_key"]: tuple(row[name] for name in LABEL_COLUMNS) for row in found["scored_outcomes"]} == {
        row["lead_key"]: tuple(row[name] for name in LABEL_COLUMNS) for row in scored
    }
    ((key, values),) = row_wise.label_counts(scored).items()
    assert [tuple(row.values()) for row in found["label_counts"]] == [key + values]
    assert {tuple(row.values()) for row in found["selection_counts"]} == {
        key + values for key, values in row_wise.selection_counts(scored).items()
    }


def test_a_conversion_counts_within_the_days_after_the_first_score() -> None:
    assert label([{"converted": True, "time": SCORED + 2 * DAY}])["target"] == 1
    late = label([{"converted": True, "time": SCORED + 2 * DAY + timedelta(seconds=1)}])
    assert (late["target"], late["is_labelled"]) == (0, True)
    assert label([{"converted": True}])["target"] == 1


def test_a_later_file_makes_no_late_conversion_count_and_takes_no_early_one_away() -> None:
    late, early = SCORED + 9 * DAY, SCORED + DAY
    lost_first = [{"converted": False, "time": early}, {"converted": True, "time": late, "file_number": 1}]
    assert label(lost_first)["target"] == 0
    told_again = [{"converted": True, "time": early}, {"converted": True, "time": late, "file_number": 1}]
    assert label(told_again)["target"] == 1


def test_a_lead_that_was_scored_after_its_outcome_is_not_labelled() -> None:
    assert not label([{"converted": True, "time": SCORED - timedelta(hours=1)}])["is_labelled"]
    assert not label([{"converted": False, "time": DAWN - DAY}])["is_labelled"]
    assert label([{"converted": True, "time": DAWN}])["is_labelled"]  # a date: the outcome may be of the evening


def test_a_date_is_that_of_the_sources_zone() -> None:
    berlins_day = {"converted": True, "time": DAWN - timedelta(hours=1)}
    assert label([berlins_day], None, {"zone": "Europe/Berlin"})["is_labelled"]
    assert not label([berlins_day])["is_labelled"]
    assert not label([{"converted": True, "time": DAWN}], None, {"zone": "Europe/Berlin"})["is_labelled"]


def test_where_outcomes_are_those_of_contacted_leads_a_rare_contact_stands_for_many() -> None:
    said, rules = [{"converted": True}], {"outcomes_of": "contacted"}
    explored = label(said, None, rules, policy="explore", probability=0.05)
    assert (explored["weight"], explored["explored"], explored["is_labelled"]) == (20, True, True)
    assert label(said, None, rules, policy="explore", probability=1e-6)["weight"] == 500
    assert not label(said, None, rules, decision="skip")["is_labelled"]
    assert label(said, None, None, decision="skip")["is_labelled"]


def test_a_lead_that_sales_chose_itself_says_nothing_of_others_before_and_after_exploration_began() -> None:
    rules = {"outcomes_of": "contacted", "contact_log": True}
    for probability in (0.01, None):
        own = label([{"converted": True}], [{"time": SCORED}], rules, decision="skip", probability=probability)
        assert (own["contacted"], own["is_labelled"]) == (True, False)
    assert label([{"converted": True}], [{"time": SCORED}], rules)["is_labelled"]


def test_the_log_says_who_was_contacted_where_there_is_one() -> None:
    assert not label([], [], {"contact_log": True})["contacted"]
    assert label([], [{"time": None}], {"contact_log": True}, decision="skip")["contacted"]
    assert label([])["contacted"]


def test_a_contact_long_before_the_score_or_after_the_outcome_is_final_is_none() -> None:
    second = timedelta(seconds=1)
    for at, wanted in (
        (SCORED - DAY - second, False),
        (SCORED - DAY, True),
        (SCORED + 2 * DAY, True),
        (SCORED + 2 * DAY + second, False),
    ):
        assert label([], [{"time": at}], {"contact_log": True})["contacted"] is wanted


def test_a_contact_is_the_first_since_a_day_before_the_score() -> None:
    old, before, after = SCORED - 30 * DAY, SCORED - DAY, SCORED + DAY
    row = {"lead_key": "a", "time": SCORED, "score": 0.5, "decision": "skip"}
    for times, wanted in (([old, before, after], before), ([old, after], after), ([after, old], after), ([old], old)):
        called = [{"lead_key": "a", "time": at, "file_number": 0} for at in times]
        found = related([row], [], called, LabelRules(SCORED, DAY, contact_log=True))
        assert found["contacts"] == [{"lead_key": "a", "time": wanted}]
