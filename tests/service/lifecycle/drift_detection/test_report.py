"""The page of a drift check shows every column that matters, whatever its name and its values are."""

from datetime import UTC, datetime, timedelta

import numpy as np
from matplotlib.patches import Rectangle

from service.history import DriftCheck, FeatureDrift
from service.lifecycle.drift_detection.report import MAX_BARS, distribution, report, summary
from service.lifecycle.training.reference_profile import describe
from service.model.schema import LeadSchema
from tests.service import forge
from tests.service.lifecycle.drift_detection.test_homogeneity import compare_all, score

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DRIFT = FeatureDrift(
    feature="region",
    distance=0.3,
    p_value=0.001,
    influence=0.1,
    drifted=True,
    missing=0.0,
    missing_in_training=0.0,
    unseen=0.0,
)


def test_text_of_leads_is_no_markup_and_a_feature_may_be_called_score() -> None:
    named = {"region": "score"}
    schema = LeadSchema(
        features=tuple(f.model_copy(update={"name": named.get(f.name, f.name)}) for f in forge.SCHEMA.features)
    )
    frame, target = forge.rows(600)
    odd = frame.assign(region=np.where(np.arange(len(frame)) % 2 == 0, "<b>$x$</b>|", "north"))
    scores, odd = score(frame), odd.rename(columns=named)
    reference = describe(schema, odd, odd, scores, target, 0.4)
    found = compare_all(reference, odd, scores, lambda some: score(some.rename(columns={"score": "region"})))
    entry = DriftCheck(
        time=NOON,
        since=NOON - timedelta(days=7),
        until=NOON,
        model_version="v1",
        leads=len(odd),
        found=found.found,
        features=found.features,
        scores=found.scores,
        decisions=found.decisions,
        expected={},
        benchmark={},
        reasons=("industry differs <script>",),
        mlflow_run_id="run",
    )
    page = report(entry, reference, forge.counted(reference, odd), scores, 0.4)
    assert page.count("<img ") == len(forge.SCHEMA.features) + 2
    assert "<script>" not in page
    assert "industry differs &lt;script&gt;" in page
    assert summary(entry).count("\n| score |") == 2


def test_a_category_of_many_values_shows_those_with_the_most_leads_and_the_others_in_one_bar() -> None:
    counts = np.arange(100)
    figure = distribution([f"value {i}" for i in range(100)], counts, counts, DRIFT)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(names) == MAX_BARS
    assert names[-2:] == ["value 99", "(all others)"]
    shares = [bar.get_width() for bar in figure.axes[0].patches if isinstance(bar, Rectangle)]
    assert np.isclose(sum(shares), 2)  # nothing of either side is left out
