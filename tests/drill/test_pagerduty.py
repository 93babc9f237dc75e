import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import HANG_S
from tests.drill import outside
from tests.drill import pagerduty as pagerduty_module
from tests.drill.outside import HeartbeatReceiver
from tests.drill.pagerduty import KEY, PagerDuty

TRIGGER = {
    "routing_key": KEY,
    "event_action": "trigger",
    "dedup_key": "k",
    "payload": {"summary": "Leads wait.", "source": "test", "severity": "critical", "class": "SpoolFillsUp"},
    "links": [{"href": "file:///runbook.md", "text": "Runbook"}],
}


@pytest.fixture
def pagerduty() -> Iterator[PagerDuty]:
    endpoint = PagerDuty()
    yield endpoint
    endpoint.close()


def send(pagerduty: PagerDuty, event: dict[str, Any]) -> int:
    request = urllib.request.Request(pagerduty.url, json.dumps(event).encode())
    try:
        with urllib.request.urlopen(request, timeout=HANG_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def test_the_first_event_is_put_off_and_then_taken(pagerduty: PagerDuty) -> None:
    assert [send(pagerduty, TRIGGER), send(pagerduty, TRIGGER)] == [429, 202]
    event = pagerduty.triggered("SpoolFillsUp", 0, time.monotonic() + 5)
    assert event is not None
    assert (event.key, event.severity, event.link) == ("k", "critical", "file:///runbook.md")


@pytest.mark.parametrize(
    "change",
    [
        {"routing_key": "another"},
        {"dedup_key": ""},
        {"dedup_key": "k" * 256},
        {"event_action": "shout"},
        {"payload": {"summary": "", "source": "test", "severity": "critical"}},
        {"payload": {"summary": "Leads wait.", "source": "test", "severity": "page"}},
        {"payload": {"summary": "Leads wait.", "severity": "critical"}},
    ],
)
def test_what_pagerduty_would_refuse_is_refused(change: dict[str, Any], pagerduty: PagerDuty) -> None:
    assert send(pagerduty, TRIGGER | change) == 400
    assert pagerduty.events() == []
    assert len(pagerduty.refused) == 1


def test_only_the_page_asked_for_counts_and_not_an_older_one(pagerduty: PagerDuty) -> None:
    for _ in range(2):
        send(pagerduty, TRIGGER)
    assert pagerduty.triggered("SpoolFillsUp", time.monotonic(), 0.05) is None
    assert pagerduty.triggered("BatchLate", 0, 0.05) is None
    assert pagerduty.resolved("k", 0, 0.05) is None
    send(pagerduty, TRIGGER | {"event_action": "resolve"})
    assert pagerduty.resolved("k", 0, time.monotonic() + 5) is not None


def test_an_alert_is_quiet_once_its_last_event_is_a_resolve(
    pagerduty: PagerDuty, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        send(pagerduty, TRIGGER)
    now, slept = 0.0, list[float]()

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        slept.append(now)

    monkeypatch.setattr(pagerduty_module, "time", SimpleNamespace(monotonic=lambda: now, sleep=sleep))
    pagerduty.until_quiet("BatchLate", 5)
    assert slept == []
    pagerduty.until_quiet("SpoolFillsUp", 0.3)
    assert slept == [0.2, 0.4]
    send(pagerduty, TRIGGER | {"event_action": "resolve"})
    pagerduty.until_quiet("SpoolFillsUp", 5)
    assert slept == [0.2, 0.4]


def test_silence_pages_from_outside_once_somebody_has_called_and_a_call_ends_it(
    pagerduty: PagerDuty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "SILENCE_S", 0.5)
    monkeypatch.setattr(outside, "TICK_S", 0.02)
    send(pagerduty, TRIGGER)  # put off
    watch = HeartbeatReceiver(pagerduty.url, "file:///runbooks")
    watch.start()
    try:
        assert pagerduty.triggered(outside.ALERT, time.monotonic(), 1) is None
        called = time.monotonic()
        urllib.request.urlopen(watch.address, timeout=HANG_S).close()
        page = pagerduty.triggered(outside.ALERT, called, HANG_S)
        assert page is not None
        assert page.at - called > 0.5
        assert page.link == "file:///runbooks/telemetry.md"
        monkeypatch.setattr(outside, "SILENCE_S", 60)
        urllib.request.urlopen(watch.address, timeout=HANG_S).close()
        assert pagerduty.resolved(page.key, page.at, HANG_S) is not None
    finally:
        watch.stop()
