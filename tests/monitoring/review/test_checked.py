"""`scripts/alerts check` finds in a real Prometheus what is there, what is missing, what fired, and what was spent."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest

from monitoring import google
from monitoring.platform import Platform
from monitoring.review import __main__ as review
from monitoring.review import checked
from monitoring.review.describe import parse
from monitoring.review.trial import with_outages
from monitoring.simulation import tsdb, world
from tests.facts import states

needs_prometheus = pytest.mark.skipif(
    not shutil.which("prometheus"), reason="no prometheus: scripts/install-system brings it"
)
RESTARTS, CPU, MEMORY = (
    f"kubernetes_io:container_{what}" for what in ("restart_count", "cpu_limit_utilization", "memory_limit_utilization")
)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "environment", lambda env: ("acme-leads-dev", Platform()))


def told(*outages: str) -> Iterator[tsdb.Samples]:
    """Two quiet days, with outages on the second."""
    yield from with_outages(2, 600_000, parse("; ".join(outages)) if outages else ()).told()


NOW = world.EPOCH + 60 * (world.BEFORE + 2 * world.DAY)


@pytest.mark.system
@needs_prometheus
def test_where_every_series_is_there_nothing_is_missing(here: None, capsys: pytest.CaptureFixture[str]) -> None:
    with tsdb.running() as database:
        database.write(told())
        assert checked.main("dev", database.url, 1, as_json=False, now=NOW) == 0
    shown = capsys.readouterr().out
    states(shown, "ScoringAvailability", "99.9 %")
    assert "Burn" not in shown  # it lists alerts that would have fired
    assert all(metric.name[:20] in shown for metric in google.UNVERIFIED)


def relabelled(series: tsdb.Samples) -> Iterator[dict[str, str]]:
    """Its labels, some otherwise than alerts ask for."""
    labels = dict(series.labels)
    if series.name == RESTARTS:
        yield {**labels, "container_name": "other"}
    elif series.name == CPU:
        yield {name: value for name, value in labels.items() if name != "container_name"}
    elif series.name == MEMORY:
        yield {**labels, "container_name": "other"}
        yield {**labels, "memory_type": "evictable"}
    else:
        yield labels


@pytest.mark.system
@needs_prometheus
def test_what_is_missing_what_fired_and_what_was_spent_is_shown(here: None, capsys: pytest.CaptureFixture[str]) -> None:
    series = [
        replace(each, labels=labels)
        for each in told("401 100% 1h", "500 20% 1h at 16:00")
        if each.name != "kube_pod_status_unschedulable" and each.labels.get("job") != "batch"
        if each.labels.get("response_code_class") != "500"  # none came yet, so nothing is missing
        for labels in relabelled(each)
    ]
    with tsdb.running() as database:
        database.write(series)
        assert checked.main("dev", database.url, 2, as_json=True, now=NOW) == 1
    found = json.loads(capsys.readouterr().out)
    missing = {each["series"]: each for each in found["missing"]}
    assert {"there is no kube_pod_status_unschedulable"} == {
        each["why"] for each in missing.values() if "ScoringPodsUnschedulable" in each["alerts"]
    }
    for metric, why in (
        (RESTARTS, 'no series has container_name="scoring"'),
        (CPU, "no series has the label container_name"),
        (MEMORY, "no series has all of these labels"),
    ):
        assert {each["why"] for name, each in missing.items() if name.startswith(metric)} == {why}
    assert {each["why"] for name, each in missing.items() if 'job="batch"' in name} == {'no series has job="batch"'}
    blind = {alert for each in missing.values() for alert in each["alerts"]}
    assert {"ScoringPodsUnschedulable", "ScoringPodsCrashLooping", "BatchLate"} <= blind
    assert not blind & {"ScoringAvailabilityBurnFast", "FrontDoorFailsBeforePods", "JobExecutionFailed"}
    times = {each["alert"]: each["times"] for each in found["alerts"] if each["times"]}
    assert times["CallersRefusedByPods"] == 1
    assert times["ScoringAvailabilityBurnFast"] >= 1
    assert "MlflowDown" not in times
    left = {each["slo"]: each["left"] for each in found["budgets"]}
    assert left["ScoringAvailability"] < 0 < left["MlflowAvailability"]
    assert left["EvaluationOnTime"] is not None


def test_an_address_that_does_not_answer_ends_with_2(here: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert review.main(["check", "dev", "--prometheus", "prometheus:9090"]) == 2
    states(capsys.readouterr().err, "prometheus:9090", "https://HOST/PATH")


def test_an_environment_that_is_not_there_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert review.main(["check", "moon", "--prometheus", "http://127.0.0.1:9"]) == 2
    states(capsys.readouterr().err, "moon", "prod")


@pytest.mark.parametrize("arguments", [["check"], ["check", "dev", "--days", "0"], ["check", "dev", "--days", "x"]])
def test_wrong_options_end_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        review.main(arguments)
    assert ended.value.code == 2
