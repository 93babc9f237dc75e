"""`scripts/alerts budget` says what a promise allows, and finds in a real Prometheus what is left of it."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from monitoring.budgets import ErrorBudget
from monitoring.catalogue import promises
from monitoring.platform import Platform
from monitoring.review import __main__ as review
from monitoring.review import budget, checked, living
from monitoring.simulation import tsdb
from tests.facts import states

needs_prometheus = pytest.mark.skipif(
    not shutil.which("prometheus"), reason="no prometheus: scripts/install-system brings it"
)
NOW = 1_800_000_000


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    platform = Platform(leads_per_day=300_000, leads_per_request=3)
    monkeypatch.setattr(checked, "environment", lambda env: ("acme-leads-dev", platform))


def requests(failed: float) -> tuple[tsdb.Samples, ...]:
    """Ten days with a thousand requests an hour, of which a share failed."""
    hours = np.arange(241, dtype=np.int64)
    times = NOW - 3600 * hours[::-1]
    labels = {"route": "/v1/score", "method": "POST"}
    counts = {"200": 1000 * (1 - failed), "503": 1000 * failed}
    return tuple(
        tsdb.Samples("leadscoring_requests_total", {**labels, "status": status}, times, count * hours.astype(float))
        for status, count in counts.items()
    )


def test_what_a_promise_allows_is_shown_at_the_declared_traffic(capsys: pytest.CaptureFixture[str]) -> None:
    assert review.main(["budget", "prod"]) == 0
    shown = capsys.readouterr().out
    # 100,000 requests a day in 28 days, a thousandth of them; 28 days are 40,320 minutes, 13.44 times faster 2.08 days.
    states(shown, "ScoringAvailability", "99.9 %", "2,800 requests", "40.3 min", "BurnFast 2.08 d", "28,000 requests")
    states(shown, "ModelFreshness", "6.72 hours", "1 % of the requests", "33.6 hours")
    assert "left" not in shown


@pytest.mark.system
@needs_prometheus
@pytest.mark.parametrize(("failed", "status", "share"), [(0.0004, 0, "60.0%"), (0.0012, 1, "-20.0%")])
def test_what_is_left_is_asked_of_a_prometheus(
    failed: float, status: int, share: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with tsdb.running() as database:
        database.write(requests(failed))
        assert budget.main("prod", database.url, now=NOW) == status
    shown = capsys.readouterr()
    states(shown.out, share, "all, or unknown")
    assert ("spent: ScoringAvailability" in shown.err) == (status == 1)


def test_where_nobody_answers_it_ends_with_2_and_says_where(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(living, "PAUSE", 0.0)
    assert budget.main("prod", "http://127.0.0.1:9") == 2
    states(capsys.readouterr().err, "scripts/alerts budget", "127.0.0.1:9", "cannot be reached")


def test_a_runbook_states_the_hours_that_a_promise_about_time_allows() -> None:
    for slo in promises.slos(Platform()):
        if ErrorBudget(slo).counts_time:
            hours = budget.allowed(ErrorBudget(slo), Platform()).split()[0]
            assert f"{hours} of the 672 hours" in Path("monitoring/runbooks", slo.runbook).read_text()
