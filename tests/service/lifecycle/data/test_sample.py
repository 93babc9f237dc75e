"""The built-in generator: the same seed gives the same leads, of the documented distribution, with known scores."""

from typing import get_args

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from service.lifecycle.data.sample import SOURCES, Drift, DriftKind, Sample, generate

QUIET = generate(Sample(rows=20_000))


def test_the_same_sample_gives_the_same_leads_and_another_seed_others() -> None:
    once, again, other = (generate(Sample(rows=500, seed=seed)).frame for seed in (3, 3, 4))
    assert once.equals(again)
    assert not once.equals(other)


def test_about_eleven_in_a_hundred_convert_and_the_true_score_ranks_them() -> None:
    converted = QUIET.frame["converted"]
    assert converted.mean() == pytest.approx(0.11, abs=0.01)
    assert QUIET.score.mean() == pytest.approx(converted.mean(), abs=0.007)
    assert roc_auc_score(converted, QUIET.score) == pytest.approx(0.83, abs=0.02)


def test_the_true_score_is_the_probability_to_convert() -> None:
    for rows in np.array_split(np.argsort(QUIET.score), 10):
        standard_error = np.sqrt(np.mean(QUIET.score[rows] * (1 - QUIET.score[rows])) / len(rows))
        assert abs(QUIET.frame["converted"].to_numpy()[rows].mean() - QUIET.score[rows].mean()) < 4 * standard_error


def test_shares_and_gaps_are_the_documented_ones() -> None:
    frame = QUIET.frame
    for name, (share, _) in SOURCES.items():
        assert (frame["lead_source"] == name).mean() == pytest.approx(share, abs=0.012)
    gaps = {"employees": 0.12, "industry": 0.06, "job_level": 0.09, "emails_opened": 0.04, "trial_started": 0.03}
    assert {name: frame[name].isna().mean() for name in gaps} == pytest.approx(gaps, abs=0.01)
    assert frame["created_at"].is_monotonic_increasing
    assert frame["lead_id"].is_unique
    assert frame["contract_value"].notna().equals(frame["converted"])


@pytest.mark.parametrize("kind", get_args(DriftKind))
def test_a_drift_sets_in_at_its_start_and_leaves_the_leads_before_it_alone(kind: DriftKind) -> None:
    calm = generate(Sample(rows=4_000)).frame.drop(columns=["converted", "contract_value"])
    drifted = generate(Sample(rows=4_000, drift=Drift(kind=kind, start=0.5)))
    assert {column: drifted.frame[column].iloc[:2000].isna().mean() for column in calm} == pytest.approx(
        {column: calm[column].iloc[:2000].isna().mean() for column in calm}, abs=0.03
    )
    early, late = drifted.frame.iloc[:2000], drifted.frame.iloc[2000:]
    moved = {
        "source_mix": (late["lead_source"] == "paid_search").all() and (early["lead_source"] != "paid_search").any(),
        "narrow_market": late["employees"].std() < 100 < early["employees"].std(),
        "even_engagement": late["pages_viewed"].isin([4, 5]).all() and not early["pages_viewed"].isin([4, 5]).all(),
        "lost_tracking": late["pages_viewed"].isna().all() and early["pages_viewed"].notna().all(),
        "new_values": (late["industry"].dropna() == "space").all() and (early["industry"] != "space").all(),
        "concept": drifted.score[2000:].mean() < 0.85 * drifted.score[:2000].mean(),
    }
    assert moved[kind]


@pytest.mark.parametrize("kind", [kind for kind in get_args(DriftKind) if kind not in ("concept", "lost_tracking")])
def test_covariate_drift_makes_leads_harder_to_tell_apart(kind: DriftKind) -> None:
    drifted = generate(Sample(rows=20_000, drift=Drift(kind=kind)))
    cost = roc_auc_score(QUIET.frame["converted"], QUIET.score) - roc_auc_score(
        drifted.frame["converted"], drifted.score
    )
    assert cost > 0.04
