import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import pytest
from google.api_core.retry import Retry
from google.cloud import monitoring_v3

from service.lifecycle import heartbeat
from tests.drill.cloud_monitoring import CloudMonitoring
from tests.facts import states

UNVERIFIED = monitoring_v3.NotificationChannel.VerificationStatus.UNVERIFIED


class Outside(ThreadingHTTPServer):
    """Whom the heartbeat calls; answers with these statuses, the last one for good."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.answers = [200]

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                me.called.append(self.path)
                status = me.answers.pop(0) if len(me.answers) > 1 else me.answers[0]
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None: ...

        me = self
        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def outside() -> Iterator[Outside]:
    server = Outside()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudMonitoring]:
    double = CloudMonitoring()
    monkeypatch.setenv("LEADSCORING_MONITORING_EMULATOR", f"127.0.0.1:{double.port}")
    monkeypatch.setattr(heartbeat, "PATIENCE", {"timeout": 10.0, "retry": Retry(initial=0.01, timeout=0.2)})
    monkeypatch.setattr(heartbeat, "PAUSE_S", 0.01)
    yield double
    double.close()


@pytest.fixture
def arguments(outside: Outside, tmp_path: Path) -> list[str]:
    file = tmp_path / "address"
    file.write_text(f"http://127.0.0.1:{outside.server_port}/secret\n")
    expected = ["--policies", "ServiceMetricsAbsent", "ScoringAvailabilityBurnFast", "--channels", "mail"]
    return ["--project", "acme", "--address-file", str(file), *expected]


def test_where_all_is_well_somebody_outside_hears_of_it(
    watching: CloudMonitoring, outside: Outside, arguments: list[str]
) -> None:
    assert heartbeat.main(arguments) == 0
    assert outside.called == ["/secret"]
    series, policies, channels, snoozes = watching.asked
    assert series.filter == 'metric.type = starts_with("prometheus.googleapis.com/leadscoring_requests_total/")'
    assert series.interval.end_time - series.interval.start_time == heartbeat.FRESH
    assert {series.name, policies.name, channels.name} == {"projects/acme"}
    assert snoozes.parent == "projects/acme"


def stale(double: CloudMonitoring) -> None:
    double.series.clear()


def policy_disabled(double: CloudMonitoring) -> None:
    double.policies[1].enabled = False


def policy_invalid(double: CloudMonitoring) -> None:
    double.policies[1].validity = {"code": 3, "message": "no such metric"}


def policy_tells_nobody(double: CloudMonitoring) -> None:
    double.policies[1].notification_channels = []


def no_policy(double: CloudMonitoring) -> None:
    double.policies.clear()


def channel_disabled(double: CloudMonitoring) -> None:
    double.channels[0].enabled = False


def channel_unverified(double: CloudMonitoring) -> None:
    double.channels[0].verification_status = UNVERIFIED


def policy_deleted(double: CloudMonitoring) -> None:
    del double.policies[1]


def channel_deleted(double: CloudMonitoring) -> None:
    double.channels[0].display_name = "another"


def snoozed(double: CloudMonitoring, begun_h: float = 20, ends_h: float = 1) -> None:
    now = int(time.time())
    double.snoozes.append(
        monitoring_v3.Snooze(
            display_name="holidays",
            criteria={"policies": ["projects/local/alertPolicies/gone", double.policies[1].name]},
            interval={
                "start_time": {"seconds": now - int(begun_h * 3600)},
                "end_time": {"seconds": now + int(ends_h * 3600)},
            },
        )
    )


def no_channel(double: CloudMonitoring) -> None:
    double.channels.clear()


def refused(double: CloudMonitoring) -> None:
    double.refusal = grpc.StatusCode.PERMISSION_DENIED


def away(double: CloudMonitoring) -> None:
    double.refusal = grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("spoil", "facts"),
    [
        (stale, ["no sample", "leadscoring_requests_total", "10 minutes"]),
        (policy_disabled, ["policy", "ScoringAvailabilityBurnFast", "disabled"]),
        (policy_invalid, ["policy", "ScoringAvailabilityBurnFast", "invalid", "no such metric"]),
        (policy_tells_nobody, ["policy", "ScoringAvailabilityBurnFast", "nobody"]),
        (no_policy, ["no alert policy"]),
        (policy_deleted, ["policy", "ScoringAvailabilityBurnFast", "not there"]),
        (channel_deleted, ["channel", "mail", "not there"]),
        (snoozed, ["snooze", "holidays", "ScoringAvailabilityBurnFast", "12 hours"]),
        (channel_disabled, ["channel", "mail", "disabled"]),
        (channel_unverified, ["channel", "mail", "verified"]),
        (no_channel, ["no notification channel"]),
        (refused, ["Cloud Monitoring", "acme", "not answer"]),
        (away, ["Cloud Monitoring", "acme", "not answer"]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_where_something_is_wrong_nobody_is_called(
    spoil: Callable[[CloudMonitoring], None],
    facts: list[str],
    watching: CloudMonitoring,
    outside: Outside,
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(watching)
    assert heartbeat.main(arguments) == 1
    assert outside.called == []
    states(capsys.readouterr().err, *facts)


def test_a_policy_that_does_not_say_whether_it_is_enabled_is(
    watching: CloudMonitoring, outside: Outside, arguments: list[str]
) -> None:
    del watching.policies[0].enabled, watching.channels[0].enabled
    assert heartbeat.main(arguments) == 0


@pytest.mark.parametrize(
    ("begun_h", "ends_h", "severity"),
    [(11, 0.9, "page"), (20, -0.1, "page"), (-0.1, 20, "page"), (20, 20, "ticket")],
    ids=["a shift", "over", "to come", "of a ticket"],
)
def test_other_snoozes_are_nobodys_fault(
    begun_h: float, ends_h: float, severity: str, watching: CloudMonitoring, outside: Outside, arguments: list[str]
) -> None:
    watching.policies[1].user_labels["severity"] = severity
    snoozed(watching, begun_h, ends_h)
    assert heartbeat.main(arguments) == 0
    assert outside.called == ["/secret"]


def test_a_policy_that_nobody_expects_may_be_there(
    watching: CloudMonitoring, outside: Outside, arguments: list[str]
) -> None:
    assert heartbeat.main([*arguments, "--policies", "ServiceMetricsAbsent"]) == 0


def test_a_call_that_fails_is_tried_again(watching: CloudMonitoring, outside: Outside, arguments: list[str]) -> None:
    outside.answers = [500, 503, 200]
    assert heartbeat.main(arguments) == 0
    assert len(outside.called) == 3


def test_a_call_that_never_succeeds_is_a_failure_and_the_address_stays_a_secret(
    watching: CloudMonitoring, outside: Outside, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    outside.answers = [500]
    assert heartbeat.main(arguments) == 1
    said = capsys.readouterr().err
    states(said, "127.0.0.1", "HTTP Error 500")
    assert "secret" not in said
    assert len(outside.called) == heartbeat.PINGS


def test_a_look_alone_calls_nobody(watching: CloudMonitoring, capsys: pytest.CaptureFixture[str]) -> None:
    assert heartbeat.main(["--project", "acme", "--check"]) == 0
    states(capsys.readouterr().out, "policies", "channels", "acme", "enabled")


@pytest.mark.parametrize("content", [None, "", "later", "http://example.org/x", "ftp://127.0.0.1/x"])
def test_a_missing_address_is_named_with_what_to_do(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "address"
    if content is not None:
        file.write_text(content)
    assert heartbeat.main(["--project", "acme", "--address-file", str(file)]) == 2
    said = capsys.readouterr().err
    assert "add a version" in said
    assert "secret heartbeat-address" in said
    assert not content or content not in said


def test_no_file_at_all_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert heartbeat.main(["--project", "acme"]) == 2
    assert "give --address-file" in capsys.readouterr().err
