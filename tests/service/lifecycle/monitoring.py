"""A stand-in for Cloud Monitoring that speaks its wire protocol: gRPC, CreateTimeSeries."""

from typing import Any

import grpc
from google.cloud.monitoring_v3.types import metric_service
from google.protobuf import empty_pb2

METHOD = "/google.monitoring.v3.MetricService/CreateTimeSeries"


class Monitoring(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Keeps the requests that it took; refuses as many as `refusals` holds, each with its code."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.attempts: list[Any] = []
        self.refusals: list[grpc.StatusCode] = []

    def service(self, call: Any) -> Any:
        def answer(data: bytes, context: Any) -> bytes:
            request = metric_service.CreateTimeSeriesRequest.deserialize(data)
            self.attempts.append(request)
            if self.refusals:
                context.abort(self.refusals.pop(0), "injected")
            self.requests.append(request)
            return bytes(empty_pb2.Empty().SerializeToString())

        return grpc.unary_unary_rpc_method_handler(answer) if call.method == METHOD else None
