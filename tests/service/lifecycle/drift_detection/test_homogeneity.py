"""What differs beyond chance is told from what does not, and what matters from what does not."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare

from service.lifecycle.drift_detection.homogeneity import (
    ALPHA,
    MIN_DISTANCE,
    Comparison,
    Score,
    by_chance,
    compare,
    distance,
    excess,
    p_value,
)
from service.lifecycle.evaluation.quality import Scores
from service.lifecycle.training.reference_profile import describe
from service.model.reference import Reference
from tests.service import forge

PIPELINE, _ = forge.train()
REFERENCE = forge.reference(PIPELINE)


def compare_all(reference: Reference, frame: pd.DataFrame, scores: Scores, score: Score) -> Comparison:
    """The comparison of these leads, without a sample."""
    return compare(reference, forge.counted(reference, frame), frame, scores, 0.4, score)


def score(frame: pd.DataFrame) -> Scores:
    scores: Scores = PIPELINE.predict_proba(frame)[:, 1]
    return scores


def compared(frame: pd.DataFrame) -> Comparison:
    return compare_all(REFERENCE, frame, score(frame), score)


def drifted(frame: pd.DataFrame) -> set[str]:
    made = compared(frame)
    return {f.feature for f in (*made.features, made.scores, made.decisions) if f.drifted}


def test_quiet_windows_stay_quiet_at_the_level_that_is_promised() -> None:
    found = [compared(forge.rows(500, seed)[0]).found for seed in range(100, 160)]
    assert np.mean(found) <= 0.05


def test_the_test_knows_that_the_reference_is_a_sample_too() -> None:
    # As a truth the same reference would be contradicted far too often.
    draw = np.random.default_rng(0)
    shares = np.full(20, 0.05)
    pairs = [(draw.multinomial(1_000, shares), draw.multinomial(5_000, shares)) for _ in range(400)]
    assert np.mean([p_value(then, now) < 0.05 for then, now in pairs]) == pytest.approx(0.05, abs=0.03)
    assert np.mean([chisquare(now, then * 5.0).pvalue < 0.05 for then, now in pairs]) > 0.9


def test_cells_of_a_few_leads_do_not_raise_a_false_alarm() -> None:
    draw = np.random.default_rng(1)
    shares = np.array([0.5, 0.48, *[0.0005] * 40])
    pairs = [(draw.multinomial(4_000, shares), draw.multinomial(100, shares)) for _ in range(1_000)]
    assert np.mean([p_value(then, now) < 0.01 for then, now in pairs]) <= 0.02
    assert p_value(np.array([50, 0]), np.array([70, 0])) == 1


def test_a_difference_beyond_chance_but_of_no_size_is_no_drift() -> None:
    then, now = np.array([500_000, 500_000]), np.array([505_000, 495_000])
    assert p_value(then, now) < ALPHA
    assert distance(then, now) < MIN_DISTANCE + by_chance(then, now)
    huge = pd.concat([forge.rows(600)[0]] * 60, ignore_index=True)
    usual, target = score(huge), np.resize([0, 1], len(huge)).astype(np.int8)
    known = describe(forge.SCHEMA, huge, huge, usual, target, 0.4)
    some = huge.assign(region=np.where(np.arange(len(huge)) % 20 == 0, "south", huge["region"]))
    region = compare_all(known, some, usual, score).features[-1]
    assert region.p_value < ALPHA
    assert not region.drifted


def test_the_distance_is_the_stability_index_and_its_mean_by_chance_is_known() -> None:
    assert distance(np.array([800_000, 200_000]), np.array([740_000, 260_000])) == pytest.approx(
        0.06 * np.log(0.26 / 0.2) + 0.06 * np.log(0.8 / 0.74), rel=1e-3
    )
    draw = np.random.default_rng(2)
    pairs = [(draw.multinomial(4_000, [0.05] * 20), draw.multinomial(2_000, [0.05] * 20)) for _ in range(300)]
    mean = np.mean([distance(then, now) for then, now in pairs])
    assert mean == pytest.approx(by_chance(*pairs[0]), rel=0.1)


def test_values_gone_missing_and_values_never_seen_are_found_and_named() -> None:
    frame = forge.rows(500, 7)[0].assign(visits=np.nan, industry="space")
    assert {"visits", "industry", "score", "decision"} <= drifted(frame)
    made = compared(frame)
    by_name = {f.feature: f for f in made.features}
    assert by_name["visits"].missing == by_name["industry"].unseen == 1
    assert by_name["visits"].missing_in_training == pytest.approx(0.1, abs=0.03)
    assert any("visits differs" in r and "100.0% missing" in r for r in made.reasons)
    assert any("industry differs" in r and "100.0% hold values that training did not know" in r for r in made.reasons)


def test_the_influence_is_what_a_feature_does_to_the_score() -> None:
    influence = {f.feature: f.influence for f in compared(forge.rows(500, 8)[0]).features}
    assert influence["visits"] > 0.2 > influence["region"]
    deaf = compare_all(REFERENCE, forge.rows(500, 8)[0], np.full(500, 0.3), lambda frame: np.full(len(frame), 0.3))
    assert {f.influence for f in deaf.features} == {0.0}


def test_drift_in_what_the_model_does_not_read_is_told_but_is_no_finding() -> None:
    frame = forge.rows(600)[0].assign(region="east")
    usual = score(forge.rows(600)[0])  # as of a model that does not read the region
    made = compare_all(REFERENCE, frame, usual, lambda some: usual[_rows(some, frame)])
    region = next(f for f in made.features if f.feature == "region")
    assert (region.drifted, region.influence, made.found) == (True, 0.0, False)


def _rows(some: pd.DataFrame, frame: pd.DataFrame) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
    return frame.index.get_indexer(some.index)


def test_values_that_were_rare_at_training_too_are_compared_with_their_share_there() -> None:
    every, outcome = forge.rows(2_000)
    rare = every.assign(industry=[f"firm {i}" if i % 10 < 3 else "retail" for i in range(2_000)])
    reference = describe(forge.SCHEMA, rare, rare, score(rare), outcome.astype(np.int8), 0.4)
    now = rare.iloc[:500].assign(industry=[f"new firm {i}" if i % 10 < 3 else "retail" for i in range(500)])
    by_name = {f.feature: f for f in compare_all(reference, now, score(now), score).features}
    assert by_name["industry"].unseen == by_name["industry"].unseen_in_training == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("now", "then", "leads", "held_out", "above"),
    [
        (0.30, 0.285, 2_000, 500, 0.0),  # of 300 titles many are rare, at training as now
        (0.36, 0.285, 2_000, 500, 0.0),  # as many as chance brings among 40 shares
        (0.36, 0.285, 20_000, 5_000, 0.075),
        (0.06, 0.0, 2_000, 500, 0.06),
        (0.2, 0.3, 20_000, 5_000, 0.0),
        (0.0, 0.0, 2_000, 500, 0.0),
        (1.0, 1.0, 2_000, 500, 0.0),
    ],
)
def test_a_share_is_above_trainings_only_beyond_chance(
    now: float, then: float, leads: int, held_out: int, above: float
) -> None:
    assert excess(now, then, leads, held_out, 40) == pytest.approx(above)


def test_shares_that_do_not_differ_seldom_seem_to_exceed_trainings_by_a_twentieth() -> None:
    draw, leads, held_out, shares = np.random.default_rng(0), 500, 500, 20
    for rate in (0.02, 0.1, 0.3):
        now, then = draw.binomial(leads, rate, 4_000) / leads, draw.binomial(held_out, rate, 4_000) / held_out
        found = [excess(*pair, leads, held_out, shares) > 0.05 for pair in zip(now, then, strict=True)]
        assert np.mean(found) <= 2 * ALPHA / shares
