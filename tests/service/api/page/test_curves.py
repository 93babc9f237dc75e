from collections.abc import Mapping
from types import MappingProxyType

import pytest

from service.api.page import curves
from service.model.bundle import Bundle, Economics, load
from service.model.reference import ScoreBin
from service.storage import open_storage
from tests.service import forge


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    models = open_storage(str(tmp_path_factory.mktemp("curves")))
    return load(models, forge.release(models))


BINS = (
    ScoreBin(score=0.1, leads=50, converted=5),
    ScoreBin(score=0.3, leads=30, converted=9),
    ScoreBin(score=0.8, leads=20, converted=16),
)


def drawn(bundle: Bundle, benchmark: Mapping[str, float] = MappingProxyType({})) -> dict[str, curves.Chart]:
    manifest = bundle.manifest.model_copy(update={"benchmark": dict(benchmark)})
    reference = bundle.reference.model_copy(update={"calibration": BINS, "leads": 100, "contacted": 20})
    return {chart.title: chart for chart in curves.charts(manifest, reference)}


def test_gains_start_with_the_best_leads() -> None:
    assert curves.cumulated(BINS[::-1]) == [(0, 0), (0.2, 16 / 30), (0.5, 25 / 30), (1, 1)]


def test_the_sentences_say_what_the_bins_hold(bundle: Bundle) -> None:
    charts = drawn(bundle)
    assert list(charts) == ["ROC", "Calibration", "Lift", "Profit"]
    # 16 of 30 conversions and 4 of 70 others are above the threshold
    assert "reaches 53 % of the conversions and 6 % of the others" in charts["ROC"].says
    assert "In 3 of 3 groups" in charts["Calibration"].says
    assert "those above the threshold, 20 % of the leads, 2.7 times" in charts["Lift"].says
    # per 1,000 leads 160 conversions at 100 and 200 contacts at 10
    assert "200 are contacted, for a profit of 14,000; contacting all of them: 20,000" in charts["Profit"].says


def test_the_area_is_the_share_of_pairs_in_the_right_order(bundle: Bundle) -> None:
    pairs = sum(
        good.converted * (bad.leads - bad.converted) * (1.0 if good.score > bad.score else 0.5)
        for good in BINS
        for bad in BINS
        if good.score >= bad.score
    )
    assert f"Area under the curve {pairs / 30 / 70:.3f}" in drawn(bundle)["ROC"].says


def test_a_figure_that_stands_in_the_table_too_is_that_one(bundle: Bundle) -> None:
    known = {"roc_auc": 0.8111, "recall": 0.55, "lift": 2.36, "profit": 15_000.0, "contacts": 190.0}
    charts = drawn(bundle, known)
    assert "reaches 55 % of the conversions" in charts["ROC"].says
    assert "Area under the curve 0.811" in charts["ROC"].says
    assert "2.36 times as often" in charts["Lift"].says
    assert "Of 1,000 leads 190 are contacted, for a profit of 15,000" in charts["Profit"].says


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (2_500, "2,500"), (10_000, "10K"), (-250_000, "-250K"), (1e7, "10M"), (1.5e9, "1.5B"), (2e12, "2T")],
)
def test_the_number_of_a_tick_is_short_whatever_its_size(value: float, text: str) -> None:
    assert curves.written(value, percent=False) == text


def test_every_number_beside_an_axis_has_room(bundle: Bundle) -> None:
    for worth in (1, 1e4, 1e7, 1e11):
        money = Economics(conversion_value=worth, contact_cost=worth / 3)
        manifest = bundle.manifest.model_copy(update={"economics": money, "benchmark": {}})
        for chart in curves.charts(manifest, bundle.reference):
            # a digit is at most 9 units wide in the letters of a phone
            assert all(9 * len(tick.text) <= curves.LEFT - 7 for tick in chart.y_ticks), (worth, chart.y_ticks)


def test_every_drawing_stays_within_its_picture(bundle: Bundle) -> None:
    for chart in [*drawn(bundle).values(), *curves.charts(bundle.manifest, bundle.reference)]:
        points = [tuple(map(float, step.strip("ML").split(","))) for step in chart.line.split()]
        assert all(curves.LEFT <= x <= curves.WIDTH - curves.RIGHT for x, _ in points), chart.title
        assert all(curves.TOP <= y <= curves.HEIGHT - curves.BOTTOM for _, y in points), chart.title


def test_leads_that_all_ended_alike_have_no_curves(bundle: Bundle) -> None:
    for converted in (0, 50):
        alike = bundle.reference.model_copy(
            update={"calibration": (ScoreBin(score=0.1, leads=50, converted=converted),)}
        )
        assert curves.charts(bundle.manifest, alike) == []


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 0.47, [0, 0.1, 0.2, 0.3, 0.4]),
        (-120, 1_000, [0, 500, 1_000]),
        (0, 3.2, [0, 1, 2, 3]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert curves.ticks(low, high) == expected
