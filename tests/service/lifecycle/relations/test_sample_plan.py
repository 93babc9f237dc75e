"""A sample has the newest leads whole, of the older ones as many of each outcome, and weights for these."""

import numpy as np
import pytest

from service.lifecycle.relations.sample_plan import (
    HOUR,
    NEWEST,
    NOT_KEPT,
    KnownLeads,
    SamplePlan,
    below,
    drawn,
    place_of,
    places_of,
    plan,
    shares,
)

ROWS = 2_000
DRAW = np.random.default_rng(0)


def known(count: int, rate: float = 0.1, hours: int = 5_000, first: int = 0) -> KnownLeads:
    moments = np.sort(DRAW.integers(0, hours * HOUR, count))
    target = (DRAW.random(count) < rate).astype(np.int64)
    return KnownLeads(moments, places_of(map(str, range(first, first + count)), 0), target)


LEADS = known(40_000)


def planned(*populations: KnownLeads, rows: int = ROWS) -> SamplePlan:
    made = plan(populations, rows)
    assert made is not None
    return made


def test_no_more_leads_than_asked_for_are_all_kept() -> None:
    assert plan([known(ROWS)], ROWS) is None
    assert plan([known(ROWS // 2), known(ROWS // 2)], ROWS) is None


def test_the_newest_quarter_of_the_sample_are_the_newest_leads_all_of_them() -> None:
    kept = LEADS.kept(planned(LEADS))
    assert np.flatnonzero(kept == NEWEST).tolist() == list(range(39_500, 40_000))


def test_of_leads_that_came_at_one_moment_the_newest_are_drawn_by_chance() -> None:
    at_once = KnownLeads(np.zeros_like(LEADS.moments), LEADS.places, LEADS.target)
    newest = np.flatnonzero(at_once.kept(planned(at_once)) == NEWEST)
    assert len(newest) == ROWS // 4
    assert np.median(newest) == pytest.approx(20_000, abs=2_000)
    assert (at_once.kept(planned(at_once)) != NOT_KEPT).sum() == pytest.approx(ROWS, abs=4 * ROWS**0.5)


def test_a_sample_has_about_the_size_that_is_asked_for_and_as_many_of_each_outcome() -> None:
    kept = LEADS.kept(planned(LEADS))
    older = kept >= 0
    assert (kept != NOT_KEPT).sum() == pytest.approx(ROWS, abs=4 * ROWS**0.5)
    assert LEADS.target[older].mean() == pytest.approx(0.5, abs=0.06)


def test_where_one_outcome_is_rarer_than_half_of_the_sample_all_of_it_are_kept() -> None:
    rare = known(40_000, rate=0.005)
    kept = rare.kept(planned(rare))
    assert (kept[rare.target == 1] != NOT_KEPT).all()
    assert (kept != NOT_KEPT).sum() == pytest.approx(ROWS, abs=4 * ROWS**0.5)


def test_of_leads_with_four_times_as_many_younger_ones_half_the_share_is_kept() -> None:
    made = [s for s in planned(LEADS).strata if not s.converted]
    share = {s.younger: int(s.below, 16) / 16 ** len(s.below) for s in made}
    assert share[4 * 500] / share[500] == pytest.approx(0.5)
    assert share[16 * 500] / share[500] == pytest.approx(0.25)


def test_shares_are_at_most_1_and_keep_the_rows_that_are_asked_for() -> None:
    leads = np.array([[10, 900], [5, 100_000]])
    found = shares(leads, np.array([0, 3]), 2_000)
    assert found.max() == 1
    assert (found * leads).sum() == pytest.approx(2_000)
    assert found[:, 0].tolist() == [1, 1]


def test_weights_sum_to_the_leads_and_to_their_conversions() -> None:
    made = planned(LEADS)
    kept = LEADS.kept(made)
    rows = np.flatnonzero(kept != NOT_KEPT)
    found = drawn(made, kept[rows])
    assert found.weights.sum() == pytest.approx(40_000)
    assert (found.weights * LEADS.target[rows]).sum() == pytest.approx(LEADS.target.sum())
    assert set(found.weights[found.whole]) == {1}


def test_what_was_sampled_is_stated_by_stratum() -> None:
    made = planned(LEADS)
    stated = drawn(made, (kept := LEADS.kept(made))[kept != NOT_KEPT]).stated
    assert (stated.leads, stated.whole, stated.seed) == (40_000, 500, 0)
    assert stated.whole + sum(s.sampled for s in stated.strata) == stated.sampled == (kept != NOT_KEPT).sum()
    assert stated.whole + sum(s.leads for s in stated.strata) == 40_000
    assert {s.converted for s in stated.strata} == {True, False}


def test_the_order_of_the_leads_changes_nothing_and_the_seed_does() -> None:
    order = DRAW.permutation(40_000)
    shuffled = KnownLeads(LEADS.moments[order], LEADS.places[order], LEADS.target[order])
    kept = LEADS.kept(planned(LEADS))
    assert (shuffled.kept(planned(shuffled)) == kept[order]).all()
    other = KnownLeads(LEADS.moments, places_of(map(str, range(40_000)), 1), LEADS.target)
    assert (other.kept(planned(other)) != kept).any()


def test_two_populations_are_sampled_as_the_one_that_they_make() -> None:
    parts = [
        KnownLeads(LEADS.moments[rows], LEADS.places[rows], LEADS.target[rows])
        for rows in (np.arange(0, 40_000, 3), np.setdiff1d(np.arange(40_000), np.arange(0, 40_000, 3)))
    ]
    assert planned(*parts) == planned(LEADS)


def test_a_place_is_the_hash_that_every_engine_computes() -> None:
    assert place_of("L-1", 0) == "f58a550bf251344471b50d12"  # echo -n 0:L-1 | md5sum
    assert below(1) > "f" * 12
    assert below(0.5) == "800000000000"
