"""The agreed metric's gauges: which figure, beside what, and the words of those who agreed."""

from datetime import UTC, date, datetime

import pytest

from service.history import Estimate
from service.lifecycle.data.source import Metric, Source
from service.lifecycle.runtime.agreed import LONGEST, agreed_gauges
from service.lifecycle.runtime.gauges import Gauge
from service.model.bundle import Economics, JudgedOn

FIGURES = {"recall": Estimate(0.5, 0.4, 0.6), "profit": Estimate(900.0, 800.0, 1_000.0)}
BENCHMARK = {"recall": 0.65, "profit": 1_200.0, "f1": 0.4}
JUDGED = JudgedOn(leads=1_000, converted=100, errors={}, optimism={"recall": 0.02})


def source(metric: Metric, **stated: object) -> Source:
    return Source(
        name="crm",
        path="leads.csv",
        target_column="won",
        positive="yes",
        metric=metric,
        economics=Economics(conversion_value=100, contact_cost=10, contacts_per_1000_leads=200),
        **stated,
    )


def values(gauges: list[Gauge]) -> dict[str, float]:
    return {gauge.name.removeprefix("leadscoring_agreed_"): gauge.value for gauge in gauges}


def test_the_sources_metric_is_told_beside_what_training_lets_expect_of_it() -> None:
    told = {"metric_reason": "no good lead may be lost", "agreed_by": "head of sales"}
    gauges = agreed_gauges(source("recall", agreed_on=date(2025, 6, 1), **told), FIGURES, BENCHMARK, JUDGED)
    since = datetime(2025, 6, 1, tzinfo=UTC).timestamp()
    assert values(gauges) == pytest.approx(
        {"figure": 0.5, "figure_high": 0.6, "benchmark": 0.63, "timestamp_seconds": since}
    )
    *compared, agreed = gauges
    assert [gauge.labels for gauge in compared] == [{"figure": "recall", **told}] * 3
    assert agreed.labels == {"agreed_by": "head of sales"}


def test_without_an_agreement_the_metric_counts_and_the_labels_say_so() -> None:
    gauges = agreed_gauges(source("profit"), FIGURES, BENCHMARK, None)
    assert values(gauges) == {"figure": 900.0, "figure_high": 1_000.0, "benchmark": 1_200.0}
    assert gauges[0].labels == {"figure": "profit", "metric_reason": "none was given", "agreed_by": "nobody"}


def test_nothing_is_compared_where_there_is_no_figure_of_the_metric() -> None:
    assert agreed_gauges(source("f1"), FIGURES, BENCHMARK, JUDGED) == []
    assert agreed_gauges(source("recall"), FIGURES, {}, JUDGED) == []


def test_a_long_reason_is_cut_and_written_in_one_line() -> None:
    (gauge, *_) = agreed_gauges(source("recall", metric_reason="so\nit is " * 100), FIGURES, BENCHMARK, JUDGED)
    reason = gauge.labels["metric_reason"]
    assert len(reason) == LONGEST
    assert reason.startswith("so it is so it is")
    assert reason.endswith("...")
