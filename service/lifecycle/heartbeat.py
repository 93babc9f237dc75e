"""Says to somebody outside that the watching works, so that its silence is noticed.

No alert can tell that Cloud Monitoring takes no samples, that a policy was deleted, switched off or snoozed, or that a
channel reaches nobody. This job, `python -m service.lifecycle.heartbeat`, asks Cloud Monitoring's API, and only where
all is well it calls an address that somebody else watches: a service that pages when nobody has called for a while.
"""

import argparse
import os
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.api_core.retry import Retry
from google.auth.exceptions import GoogleAuthError
from google.cloud import monitoring_v3
from google.cloud.monitoring_v3.services.alert_policy_service.transports import AlertPolicyServiceGrpcTransport
from google.cloud.monitoring_v3.services.metric_service.transports import MetricServiceGrpcTransport
from google.cloud.monitoring_v3.services.notification_channel_service.transports import (
    NotificationChannelServiceGrpcTransport,
)
from google.cloud.monitoring_v3.services.snooze_service.transports import SnoozeServiceGrpcTransport

METRIC = "leadscoring_requests_total"
"""The service exports it from its start on, with or without callers."""

FRESH = timedelta(minutes=10)
"""Scraped every 30 seconds; `ServiceMetricsAbsent` waits as long."""

LONGEST_SNOOZE = timedelta(hours=12)
"""Of a policy that pages. A person at work on an incident snoozes for a shift; a longer snooze may be forgotten."""

PATIENCE: dict[str, Any] = {"timeout": 20.0, "retry": Retry(initial=1, maximum=10, timeout=60)}
PINGS, PING_S, PAUSE_S = 3, 10.0, 5.0
"""Calls of the address at most, seconds for each, and between them."""

EXAMPLES = """examples:
  python -m service.lifecycle.heartbeat --project acme-leads-prod --address-file /secrets/heartbeat/address
  ... --policies 'A (prod)' 'B (prod)'    and these must be there, by their display names
  ... --check                             only say whether the watching works; call nobody

The file holds one https:// address, as a service that pages on silence gives it out. Whoever knows it can keep that
service quiet: it is a secret.

exit status: 0 all is well and was said so, 1 it is not, or could not be said, 2 wrong use, or no usable address
"""


class Watching:
    """What Cloud Monitoring says of a project's samples, policies, channels and snoozes."""

    def __init__(self, project: str, policies: Collection[str] = (), channels: Collection[str] = ()) -> None:
        """Of the API, or of LEADSCORING_MONITORING_EMULATOR (host:port, no TLS, no credentials).

        `policies` and `channels` must be there, by their display names; others may be.
        """
        self._name = f"projects/{project}"
        self._expected = {"policy": policies, "channel": channels}
        if emulator := os.environ.get("LEADSCORING_MONITORING_EMULATOR"):
            channel = grpc.insecure_channel(emulator)
            self._metrics = monitoring_v3.MetricServiceClient(transport=MetricServiceGrpcTransport(channel=channel))
            self._policies = monitoring_v3.AlertPolicyServiceClient(
                transport=AlertPolicyServiceGrpcTransport(channel=channel)
            )
            self._channels = monitoring_v3.NotificationChannelServiceClient(
                transport=NotificationChannelServiceGrpcTransport(channel=channel)
            )
            self._snoozes = monitoring_v3.SnoozeServiceClient(transport=SnoozeServiceGrpcTransport(channel=channel))
        else:
            self._metrics = monitoring_v3.MetricServiceClient()
            self._policies = monitoring_v3.AlertPolicyServiceClient()
            self._channels = monitoring_v3.NotificationChannelServiceClient()
            self._snoozes = monitoring_v3.SnoozeServiceClient()

    def faults(self, now: float) -> Iterator[str]:
        """What is wrong, a sentence each; nothing where all is well. Raises GoogleAPICallError and RetryError."""
        if not self._is_fresh(now):
            yield f"no sample of {METRIC} came within {FRESH // timedelta(minutes=1)} minutes"
        policies = list(self._policies.list_alert_policies(name=self._name, **PATIENCE))
        if not policies:
            yield "there is no alert policy"
        for policy in policies:
            # Not a plain bool: absent means enabled.
            # https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies#AlertPolicy
            if "enabled" in policy and not policy.enabled:
                yield f"the policy {policy.display_name} is disabled"
            elif policy.validity.code:
                yield f"the policy {policy.display_name} is invalid: {policy.validity.message}"
            elif not policy.notification_channels:
                yield f"the policy {policy.display_name} tells nobody"
        yield from self._missing("policy", (policy.display_name for policy in policies))
        yield from self._of_channels()
        yield from self._of_snoozes(now, policies)

    def _missing(self, what: str, names: Iterator[str]) -> Iterator[str]:
        found = set(names)
        for name in self._expected[what]:
            if name not in found:
                yield f"the {what} {name} is not there: deploy the alerting stack"

    def _of_snoozes(self, now: float, policies: Sequence[monitoring_v3.AlertPolicy]) -> Iterator[str]:
        """Snoozes of policies that page, now and for longer than people work on an incident."""
        pages = {policy.name: policy.display_name for policy in policies if policy.user_labels["severity"] == "page"}
        for snooze in self._snoozes.list_snoozes(parent=self._name, **PATIENCE):
            start, end = (at.timestamp() for at in (snooze.interval.start_time, snooze.interval.end_time))
            names = sorted(pages[name] for name in snooze.criteria.policies if name in pages)
            if names and start <= now < end and end - start > LONGEST_SNOOZE.total_seconds():
                yield (
                    f"the snooze {snooze.display_name} keeps {', '.join(names)} silent until"
                    f" {snooze.interval.end_time:%Y-%m-%d %H:%M} UTC, for more than"
                    f" {LONGEST_SNOOZE // timedelta(hours=1)} hours in all: end it, then snooze for less"
                )

    def _of_channels(self) -> Iterator[str]:
        channels = list(self._channels.list_notification_channels(name=self._name, **PATIENCE))
        yield from self._missing("channel", (channel.display_name for channel in channels))
        if not channels:
            yield "there is no notification channel"
        for channel in channels:
            if "enabled" in channel and not channel.enabled:
                yield f"the channel {channel.display_name} is disabled"
            # Where a type needs no verification the status is not specified.
            elif channel.verification_status == monitoring_v3.NotificationChannel.VerificationStatus.UNVERIFIED:
                yield f"the channel {channel.display_name} was never verified, and tells nobody"

    def _is_fresh(self, now: float) -> bool:
        interval = monitoring_v3.TimeInterval(
            start_time={"seconds": int(now - FRESH.total_seconds())}, end_time={"seconds": int(now)}
        )
        request = monitoring_v3.ListTimeSeriesRequest(
            name=self._name,
            filter=f'metric.type = starts_with("prometheus.googleapis.com/{METRIC}/")',
            interval=interval,
            view=monitoring_v3.ListTimeSeriesRequest.TimeSeriesView.HEADERS,
            page_size=1,
        )
        return any(True for _ in self._metrics.list_time_series(request, **PATIENCE))


def address_in(file: str | None) -> str:
    """The address. Raises ValueError, which never holds it, with what to do."""
    if not file:
        raise ValueError("no address to call: give --address-file or set LEADSCORING_HEARTBEAT_FILE")
    try:
        address = Path(file).read_text().strip()
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}; add a version to the secret heartbeat-address") from error
    parts = urllib.parse.urlsplit(address)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme, parts.hostname) == ("http", "127.0.0.1")):
        raise ValueError(f"{file} holds no https:// address; add a version with one to the secret heartbeat-address")
    return address


def ping(address: str) -> str | None:
    """Call the address; None when it answered, else why not."""
    said = ""
    for attempt in range(PINGS):
        if attempt:
            time.sleep(PAUSE_S)
        try:
            urllib.request.urlopen(address, timeout=PING_S).close()  # noqa: S310 - https, or this machine
        except OSError as error:  # HTTPError is one
            said = str(error)
        else:
            return None
    host = urllib.parse.urlsplit(address).hostname
    return f"{host} did not take the call: {said}; is its range among Environment.internet_cidrs?"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m service.lifecycle.heartbeat",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--project", required=True, help="the Google Cloud project that is watched")
    parser.add_argument(
        "--address-file",
        metavar="FILE",
        default=os.environ.get("LEADSCORING_HEARTBEAT_FILE"),
        help="file with the address to call (default: $LEADSCORING_HEARTBEAT_FILE)",
    )
    for what in ("policies", "channels"):
        parser.add_argument(
            f"--{what}",
            metavar="NAME",
            nargs="+",
            default=(),
            help=f"{what} that must be there, by display name",
        )
    parser.add_argument("--check", action="store_true", help="only say whether the watching works")
    options = parser.parse_args(arguments)
    try:
        address = None if options.check else address_in(options.address_file)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        watching = Watching(options.project, options.policies, options.channels)
        faults = list(watching.faults(time.time()))
    except (GoogleAPICallError, GoogleAuthError, RetryError) as error:
        faults = [f"Cloud Monitoring of {options.project} does not answer: {error}"]
    if not faults and address and (silent := ping(address)):
        faults = [silent]
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        print(f"samples arrive, policies and channels of {options.project} are enabled{'; said so' if address else ''}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
