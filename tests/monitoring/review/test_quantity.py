"""What an alert measures is said beside its limit, in the unit of its panel."""

from dataclasses import replace

import pytest

from monitoring import catalogue
from monitoring.review.quantity import quantities, sentence

ALERTS = {alert.name: alert for alert in catalogue.alerts()}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ScoringAvailabilityBurnFast", "Share of failed requests over 1h and 5m > 1.344 %"),
        ("CallersRefusedByPods", "Share of callers refused by pods over 10m > 20 %, and Callers refused"),
        ("EvaluationOnTimeBurnSteady", "Share of time without a result over 1d and 2h > 14 %"),
        ("ScoringPodsHalfGone", "Pods ready and wanted < 0.5 * sum(kube_deployment_spec_replicas)"),
        ("SpoolFillsUp", "Spool over 30m > "),
        ("ModelTooOld", "Age of the model > 45d"),
        ("FrontDoorSlow", "Time to the last byte over 30m > 2,000 ms"),
        ("TooFewOutcomes", "Leads to judge by < "),
    ],
)  # fmt: skip
def test_a_quantity_stands_beside_its_limit(name: str, said: str) -> None:
    assert sentence(ALERTS[name]).startswith(said)


def test_what_one_title_would_not_tell_apart_is_named_by_its_expression() -> None:
    uploaded, written = quantities(ALERTS["SpoolNotDraining"])
    assert "records_uploaded" in uploaded.measured
    assert "records_written" in written.measured


def test_an_alert_whose_panel_is_nowhere_is_named_by_its_expression() -> None:
    other = replace(ALERTS["TooFewOutcomes"], panel="Nowhere")
    assert "leadscoring_evaluation_leads" in sentence(other)


def test_every_alert_says_what_it_measures() -> None:
    for alert in ALERTS.values():
        for each in quantities(alert):
            assert each.title
            assert each.limit.split()[0] in ("<", ">", "<=", ">=", "==", "!=")
