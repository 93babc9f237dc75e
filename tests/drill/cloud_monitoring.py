"""A local stand-in for what the heartbeat asks Cloud Monitoring, in its wire protocol: gRPC."""

from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
from google.cloud import monitoring_v3

PACKAGE = "/google.monitoring.v3"


class CloudMonitoring(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Holds series, policies, channels and snoozes as lists, to be changed at will.

    `refusal` is answered instead, where set.
    """

    def __init__(self) -> None:
        mail = "projects/local/notificationChannels/1"
        series = "prometheus.googleapis.com/leadscoring_requests_total/counter"
        self.series = [monitoring_v3.TimeSeries(metric={"type": series})]
        self.policies = [
            monitoring_v3.AlertPolicy(
                name=f"projects/local/alertPolicies/{name}",
                display_name=name,
                enabled=True,
                notification_channels=[mail],
                user_labels={"severity": "page"},
            )
            for name in ("ServiceMetricsAbsent", "ScoringAvailabilityBurnFast")
        ]
        self.channels = [monitoring_v3.NotificationChannel(name=mail, display_name="mail", enabled=True)]
        self.snoozes: list[monitoring_v3.Snooze] = []
        self.refusal: grpc.StatusCode | None = None
        self.asked: list[Any] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        self._server.add_generic_rpc_handlers((self,))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def service(self, call: Any) -> Any:
        """Which handler a call has; None: there is no such method."""
        methods: dict[str, tuple[Any, Callable[[], Any]]] = {
            f"{PACKAGE}.MetricService/ListTimeSeries": (
                monitoring_v3.ListTimeSeriesRequest,
                lambda: monitoring_v3.ListTimeSeriesResponse(time_series=self.series),
            ),
            f"{PACKAGE}.AlertPolicyService/ListAlertPolicies": (
                monitoring_v3.ListAlertPoliciesRequest,
                lambda: monitoring_v3.ListAlertPoliciesResponse(alert_policies=self.policies),
            ),
            f"{PACKAGE}.NotificationChannelService/ListNotificationChannels": (
                monitoring_v3.ListNotificationChannelsRequest,
                lambda: monitoring_v3.ListNotificationChannelsResponse(notification_channels=self.channels),
            ),
            f"{PACKAGE}.SnoozeService/ListSnoozes": (
                monitoring_v3.ListSnoozesRequest,
                lambda: monitoring_v3.ListSnoozesResponse(snoozes=self.snoozes),
            ),
        }
        if call.method not in methods:
            return None
        request_type, answer = methods[call.method]

        def handle(data: bytes, context: Any) -> bytes:
            self.asked.append(request_type.deserialize(data))
            if self.refusal:
                context.abort(self.refusal, "injected")
            response = answer()
            return bytes(type(response).serialize(response))

        return grpc.unary_unary_rpc_method_handler(handle)

    def close(self) -> None:
        """Answer no longer."""
        self._server.stop(0).wait()
