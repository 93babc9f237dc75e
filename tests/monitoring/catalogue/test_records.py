"""The spool's page where the declared leads would fill it within minutes."""

import shutil
from datetime import timedelta

import pytest

from monitoring.catalogue import records
from monitoring.proof import engine

STEP = timedelta(seconds=30)  # between scrapes: service/deploy/podmonitoring.yaml
MANY = 50_000_000  # leads a day
MEAN = MANY / 86_400 * records.RECORD_BYTES * STEP.total_seconds()  # bytes of records in each step
FIRING = 'ALERTS{alertname="SpoolFillsUp",alertstate="firing"}'

pytestmark = pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool: scripts/install-system brings it")


def fired(spools: list[list[float]]) -> list[timedelta]:
    """When the page is firing, from the first sample of these pods on."""
    series = {
        f'leadscoring_spool_bytes{{instance="{pod}"}}': " ".join(f"{value:.0f}" for value in values)
        for pod, values in enumerate(spools)
    }
    times = [STEP * at for at in range(len(spools[0]))]
    found = engine.values(series, [FIRING], times, step=STEP, alerts=[records.spool(MANY)])
    (points,) = found[FIRING].values() or ([],)
    return [time for time, _ in points]


def test_a_spool_that_fills_within_minutes_pages_before_it_is_full() -> None:
    quiet = [0.1 * MEAN] * 20
    filling = [*quiet, *(min(at * MEAN, records.SPOOL_BYTES) for at in range(1, 20))]
    full = next(at for at, value in enumerate(filling) if value == records.SPOOL_BYTES) * STEP
    first, *_ = fired([filling, quiet + [0.1 * MEAN] * 19])
    assert 20 * STEP <= first < full


def test_records_between_two_uploads_in_the_busiest_minute_are_no_growth() -> None:
    # Five seconds of records, four times the mean: sampled at their least and at their most, in each order.
    least, most = 0.0, 4 * MEAN * 5 / 30
    saw = [
        least,
        most,
        most,
        least,
        least,
        least,
        most,
        least,
        most,
        most,
        most,
        most,
        least,
        least,
        least,
        least,
        most,
    ]
    assert fired([saw, saw[::-1]]) == []


def test_fewer_leads_leave_time_for_half_an_hour_of_growth_and_a_hold() -> None:
    few = records.spool(MANY // 1_000)
    assert few.hold == timedelta(minutes=5)
    assert "2 * delta(leadscoring_spool_bytes[30m])" in few.expr


def test_three_of_a_days_fifty_leads_without_a_record_are_told() -> None:
    hour = timedelta(hours=1)
    (alert,) = (each for each in records.alerts(50) if each.name == "RecordsNotWritten")
    told = "count(ALERTS{alertname='RecordsNotWritten',alertstate='firing'})"
    for missing, fires in ((3, True), (2, False)):
        scored = [50.0] * 26 + [50 + 5.0 * at for at in range(1, 11)] + [100.0] * 2
        written = [min(value, 100.0 - missing) for value in scored]
        series = {
            f'leadscoring_{name}_total{{instance="a"}}': " ".join(f"{value:.0f}" for value in values)
            for name, values in (("leads_scored", scored), ("records_written", written))
        }
        found = engine.values(series, [told], [37 * hour], step=hour, alerts=[alert])
        assert bool(found[told]) is fires
