"""The contact rule follows from scores, capacity and exploration share; its draw is the same wherever it is made."""

import hashlib

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from service.lifecycle.relations.spark_sql import in_spark
from service.model.contact_rule import DIGITS, SALT, ContactRule, rule_of, with_share

KEYS = [*(f"lead-{i}" for i in range(2_000)), "", "Müller, Zoë", "日本", "it's", "💡", "a\tb"]
SOURCES = ("crm", "crm-2")
PROBABILITIES = (0.0, 1e-9, 0.05, 1 / 3, 0.5, 1 - 2**-53, 1.0)
SCORES = np.linspace(0, 1, 1_001)


def draw(source: str, lead_key: str) -> float:
    """The draw as a number: a lead is explored where it is below the probability."""
    digest = hashlib.md5(f"{SALT}:{source}:{lead_key}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[:DIGITS], 16) / 16.0**DIGITS


@pytest.mark.parametrize("probability", PROBABILITIES)
def test_python_and_sql_draw_the_same_leads(probability: float) -> None:
    rule = ContactRule(line=1.0, explore_probability=probability)
    leads = pa.table({"lead_key": KEYS})  # read by the query
    assert len(leads) == len(KEYS)
    for source in SOURCES:
        expected = [draw(source, key) < probability for key in KEYS]
        query = f"select {rule.drawn_in_sql(source, 'lead_key')} from leads"
        assert rule.drawn(source, KEYS) == expected
        assert [row[0] for row in duckdb.connect().execute(query).fetchall()] == expected


def test_a_draw_equal_to_the_probability_is_not_explored() -> None:
    at = draw("crm", "lead-7")
    assert ContactRule(line=1.0, explore_probability=at).drawn("crm", ["lead-7"]) == [False]
    more = at + 16.0**-DIGITS
    assert ContactRule(line=1.0, explore_probability=more).drawn("crm", ["lead-7"]) == [True]


def test_a_copy_with_another_probability_draws_by_that() -> None:
    rule = ContactRule(line=1.0, explore_probability=0.05)
    assert not all(rule.drawn("crm", KEYS))
    assert all(rule.model_copy(update={"explore_probability": 1.0}).drawn("crm", KEYS))


def test_spark_takes_the_condition() -> None:
    query = ContactRule(line=1.0, explore_probability=0.05).drawn_in_sql("crm", "lead_key")
    assert in_spark(f"select {query} from leads").startswith("SELECT SUBSTRING(MD5(")


def test_what_is_drawn_never_changes() -> None:
    """Another release that drew other leads would break the probabilities of all records."""
    assert draw("crm", "lead-1") == 0.9263657151444218
    assert draw("crm", "Müller") == 0.5204129601634224


def test_leads_are_drawn_as_often_as_stated_and_otherwise_in_each_source() -> None:
    keys = [str(i) for i in range(50_000)]
    rule = ContactRule(line=1.0, explore_probability=0.05)
    first, second = np.array(rule.drawn("a", keys)), np.array(rule.drawn("b", keys))
    assert abs(first.mean() - 0.05) < 4 * (0.05 * 0.95 / len(keys)) ** 0.5
    assert abs((first & second).mean() - 0.0025) < 4 * (0.0025 / len(keys)) ** 0.5


def test_a_higher_probability_explores_the_same_leads_and_more() -> None:
    few, more = (ContactRule(line=1.0, explore_probability=p).drawn("crm", KEYS) for p in (0.05, 0.1))
    assert all(after for before, after in zip(few, more, strict=True) if before)
    assert sum(more) > sum(few)


def test_the_line_leaves_room_for_the_explored_ones() -> None:
    rule = rule_of(SCORES, threshold=0.2, contacts_per_1000_leads=300, share=0.1)
    assert rule.line == pytest.approx(0.731)
    assert rule.share_above == pytest.approx(0.27, abs=0.001)
    assert rule.explore_probability == pytest.approx(0.03 / 0.73, abs=1e-4)
    assert rule.share_above is not None
    contacts = rule.share_above + (1 - rule.share_above) * rule.explore_probability
    assert contacts == pytest.approx(0.3, abs=0.001)


def test_the_line_is_the_threshold_where_all_that_pay_can_be_contacted() -> None:
    rule = rule_of(SCORES, threshold=0.8, contacts_per_1000_leads=300, share=0.1)
    assert rule.line == 0.8
    assert rule.explore_probability == pytest.approx(0.03 / (1 - 201 / 1001))


def test_without_a_limit_the_leads_that_pay_are_the_capacity() -> None:
    off = rule_of(SCORES, threshold=0.8, contacts_per_1000_leads=1000, share=0)
    assert (off.line, off.explore_probability, off.explores) == (0.8, 0, False)
    rule = rule_of(SCORES, threshold=0.8, contacts_per_1000_leads=1000, share=0.5)
    assert rule.line == pytest.approx(0.901)
    assert rule.share_above is not None
    assert rule.explore_probability == pytest.approx(0.5 * 201 / 1001 / (1 - rule.share_above))


@pytest.mark.parametrize(("tied", "line", "above"), [(0.5, 0.9, 0.1), (0.3, 0.6, 0.4), (0.2, 0.6, 0.3)])
def test_equal_scores_at_the_cut_are_contacted_only_where_all_fit(tied: float, line: float, above: float) -> None:
    scores = np.repeat([0.9, 0.6, 0.1], [100, round(1_000 * tied), 900 - round(1_000 * tied)])
    rule = rule_of(scores, threshold=0.05, contacts_per_1000_leads=400, share=0)
    assert rule.line == line
    assert rule.share_above == pytest.approx(above)


@pytest.mark.parametrize("scores", [np.full(10, 0.4), np.full(10, 0.9), np.array([0.9])])
def test_equal_scores_have_a_rule(scores: np.ndarray) -> None:
    rule = rule_of(scores, threshold=0.5, contacts_per_1000_leads=200, share=0.05)
    assert 0 <= rule.explore_probability <= 1
    assert rule.line == max(0.5, scores[0])


def test_another_share_of_exploration_leaves_the_line() -> None:
    rule = rule_of(SCORES, threshold=0.2, contacts_per_1000_leads=300, share=0.1)
    more = with_share(rule, SCORES[:10], 300, 0.2)
    assert more == rule.model_copy(update={"explore_probability": more.explore_probability})
    assert more.explore_probability == pytest.approx(2 * rule.explore_probability)
    assert with_share(rule, SCORES[:10], 300, 0.1).explore_probability == pytest.approx(rule.explore_probability)
    assert not with_share(rule, SCORES[:10], 300, 0).explores


def test_a_line_above_which_nobody_was_counted_takes_the_share_of_the_scores_at_hand() -> None:
    rule = ContactRule(line=0.8)
    found = {len(s): with_share(rule, s, 1000, 0.1).explore_probability for s in (SCORES, SCORES[:0])}
    assert found == {1_001: pytest.approx(0.1 * 0.2 / 0.8, rel=0.01), 0: 0}
    assert with_share(rule, SCORES[:0], 200, 0.1).explore_probability == pytest.approx(0.02)
    assert not with_share(ContactRule(line=0.0), SCORES, 200, 0.1).explores  # nobody is below it
