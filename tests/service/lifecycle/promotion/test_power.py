"""How small a gain a look could show is told rightly, and all looks at one champion share their noise."""

from statistics import NormalDist

import numpy as np
import pytest

from service.lifecycle.evaluation.regressions import ALPHA
from service.lifecycle.promotion.power import SURE, Look, found_by, measured
from tests.facts import states

TARGET = (np.arange(2_000) % 10 == 0).astype(np.int8)


def test_all_looks_of_many_years_are_wrong_in_5_percent_together() -> None:
    wrong = [1 - NormalDist().cdf(Look(number).beyond) for number in range(1, 2_000)]
    assert wrong == sorted(wrong, reverse=True)
    assert 0.99 * ALPHA < sum(wrong) <= ALPHA


@pytest.mark.parametrize("number", [1, 7])
def test_a_detectable_gain_passes_in_as_many_looks_as_stated(number: int) -> None:
    look, error, least = Look(number), 0.01, 0.004
    power = measured("roc_auc", TARGET, error, least, 0.03, look)
    seen = power.detectable + error * np.random.default_rng(number).normal(size=20_000)
    assert np.mean(seen - look.beyond * error > least) == pytest.approx(SURE, abs=0.01)
    assert (power.leads, power.converted, power.look, power.enough) == (2_000, 200, number, False)


def test_as_many_leads_as_are_needed_find_the_least_interesting_gain() -> None:
    power = measured("roc_auc", TARGET, 0.01, 0.004, 0.03, Look(3))
    assert power.leads_needed > 2_000
    again = measured("roc_auc", TARGET, 0.01 * (2_000 / power.leads_needed) ** 0.5, 0.004, 0.03, Look(3))
    assert again.enough
    assert again.detectable == pytest.approx(0.03, rel=1e-3)


def test_it_is_said_beside_the_least_interesting_gain_and_the_leads_that_this_needs() -> None:
    power = measured("profit", TARGET, 600.0, 216.0, 1_620.0, Look(2))
    states(found_by(power), "look 2", "2,000", "200", "profit", "80%", "1,620", f"{power.leads_needed:,}")
    assert "needs" not in found_by(measured("profit", TARGET, 30.0, 216.0, 1_620.0, Look(2)))
