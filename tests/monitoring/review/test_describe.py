"""An outage is read from a few words, and what is not understood is said with what would be."""

import pytest

from monitoring.review.describe import parse
from monitoring.review.outage import Unclear
from monitoring.simulation.world import DAY, HOUR
from tests.facts import stating


@pytest.mark.parametrize(
    ("text", "part", "status", "share", "minutes"),
    [
        ("401 100% 6h", "pods", "401", 1.0, 360),
        ("6h 401", "pods", "401", 1.0, 360),
        ("5xx 2.5 % of requests for 90 minutes", "pods", "500", 0.025, 90),
        ("403 80% 1h", "front door", "403", 0.8, 60),
        ("502 1h", "front door", "502", 1.0, 60),
        ("502 1h pods", "pods", "502", 1.0, 60),
        ("front door 50% 1h30m", "front door", "", 0.5, 90),
        ("pods 75% gone 1h", "pods", "", 0.75, 60),
        ("slow front door 30% 2h", "slow front door", "", 0.3, 120),
        ("cluster down for 1 day", "cluster", "", 1.0, 1440),
        ("MLflow 5xx 20% 3h", "mlflow", "500", 0.2, 180),
    ],
)
def test_status_share_duration_and_part_come_in_any_order(
    text: str, part: str, status: str, share: float, minutes: int
) -> None:
    (outage,) = parse(text)
    assert (outage.part, outage.status) == (part, status)
    assert outage.share == pytest.approx(share)
    assert outage.last - outage.first == minutes


def test_it_begins_at_ten_on_a_tuesday_unless_the_time_is_said() -> None:
    at_ten, at_night = parse("401 1h; 500 1h at 03:30")
    assert at_ten.first == 2 * DAY + 10 * HOUR
    assert at_night.first == 2 * DAY + 3 * HOUR + 30


def test_a_job_and_a_series_are_named() -> None:
    job, fails, gauge, gone = parse("job batch 2d; drift fails 2d; a:b=-1.5 1h; a:b=absent 1h")
    assert (job.part, job.name, fails.part, fails.name) == ("job", "batch", "job fails", "drift")
    assert (gauge.name, gauge.value) == ("a:b", -1.5)
    assert gone.value != gone.value
    assert "has no sample" in gone.story


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("", ["empty"]),
        ("401 1h;", ["empty"]),
        ("401 100%", ["duration", "6h"]),
        ("6h", ["status", "part", "front door"]),
        ("401 6h 100% 50%", ["share", "100%", "50%", ";"]),
        ("401 0% 6h", ["0%", "above 0 %"]),
        ("401 101% 6h", ["101%"]),
        ("401 15d", ["15d", "14d"]),
        ("301 100% 6h", ["301", "no part", "pods", "bucket"]),
        ("500 50% 6h the moon", ["moon", "no part", "pods"]),
        ("401 6h at 25:00", ["25:00"]),
        ("bucket 503 1h", ["bucket", "503", "pods", "mlflow"]),
        ("mlflow 1h", ["mlflow", "status"]),
        ("bucket 50% 1h", ["bucket", "share"]),
        ("job nothing 2d", ["evaluate", "batch"]),
        ("job batch 2h", ["no run", "Wednesday at 03:00"]),
        ("a=1 50% 401 1h", ["401"]),
    ],
)
def test_what_is_not_understood_is_said_with_what_would_be(text: str, facts: list[str]) -> None:
    with pytest.raises(Unclear, match=stating(*facts)):
        parse(text)
