import pytest

from service.api.page import curves
from service.model.bundle import Bundle, load
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


def drawn(bundle: Bundle) -> dict[str, curves.Chart]:
    reference = bundle.reference.model_copy(update={"calibration": BINS, "leads": 100, "contacted": 20})
    return {chart.title: chart for chart in curves.charts(bundle.manifest, reference)}


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
