"""`scripts/alerts try` says which alerts an outage sets off, by a real Prometheus."""

import json
import shutil

import pytest

from monitoring.review import __main__ as review
from tests.facts import states

needs_prometheus = pytest.mark.skipif(
    not shutil.which("prometheus"), reason="no prometheus: scripts/install-system brings it"
)


@pytest.mark.system
@needs_prometheus
def test_refused_callers_page_in_time_and_what_stays_silent_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert review.main(["try", "401 100% 2h", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (page,) = found["fires"]
    assert page["alert"] == "CallersRefusedByPods"
    assert page["severity"] == "page"
    assert "PagerDuty" in page["reaches"]
    assert 5 <= page["after_minutes"] <= 10  # its hold, and a fifth of ten minutes
    assert 120 < page["until_minutes"] <= 132
    assert page["times"] == 1
    assert not page["without_the_outage_too"]
    silent = {each["alert"]: each["conditions"] for each in found["silent"]}
    assert page["alert"] not in silent
    failing, *_ = silent["ScoringAvailabilityBurnFast"]
    assert failing["nearest"] < float(failing["limit"]) == 0.01344
    assert failing["measured"].startswith("sum(increase(leadscoring_requests_total")
    *_, refused = silent["CallersRefusedAtFrontDoor"]
    assert refused["nearest"] > 1_000 > float(refused["limit"])  # the largest in two hours
    assert "MlflowDown" not in silent


@pytest.mark.system
@needs_prometheus
def test_with_little_traffic_failures_at_night_tell_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    assert review.main(["try", "500 5% 2h at 03:00", "--per-day", "2,000"]) == 0
    shown = capsys.readouterr().out
    assert "No alert fires" in shown
    states(shown, "2,000", "Tuesday 03:00", "5 %", "500", "no series", "chance")


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["try", "401 lots 6h"], ["lots", "front door", "bucket"]),
        (["try", "401"], ["duration", "6h"]),
        (["try", "no_such_series=1 6h"], ["no_such_series"]),
    ],
)
def test_what_is_not_understood_ends_with_2(
    arguments: list[str], facts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert review.main(arguments) == 2
    states(capsys.readouterr().err, *facts)


@pytest.mark.parametrize(
    "arguments", [["try"], ["try", "401 6h", "--per-day", "0"], ["try", "401 6h", "--per-day", "x"]]
)
def test_wrong_options_end_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        review.main(arguments)
    assert ended.value.code == 2


def test_without_prometheus_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert review.main(["try", "401 100% 6h"]) == 2
    assert "scripts/install-system" in capsys.readouterr().err


def test_help_has_an_example_of_each_part(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        review.main(["try", "--help"])
    assert ended.value.code == 0
    states(capsys.readouterr().out, '"401 100% 6h"', "job NAME", "--per-day", "METRIC=VALUE")
