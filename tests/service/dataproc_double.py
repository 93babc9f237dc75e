"""A double of Dataproc's batches in their wire protocol: gRPC, with the long-running operations of CreateBatch.

Behaviour is taken from `google/cloud/dataproc/v1/batches.proto`, `shared.proto`, `operations.proto` and
`google/longrunning/operations.proto` of https://github.com/googleapis/googleapis at commit f8291d2, and from the
threads named below. A batch runs `work`, in a thread.

Limits. Which code an operation of a failed batch has is not documented: it is `failure_code` here, so a client must
read the state of the batch. Nothing ends a batch after its `ttl`, whose least value is ten minutes. `ListBatches` takes
no filter. Any region is answered for, where Google has an endpoint for each: REGION-dataproc.googleapis.com.
"""

import re
import threading
import uuid
from collections.abc import Callable
from concurrent import futures
from typing import Any, NoReturn

import grpc
from google.cloud import dataproc_v1
from google.cloud.dataproc_v1 import Batch
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, empty_pb2, timestamp_pb2
from google.rpc import code_pb2, status_pb2

BATCHES, OPERATIONS = "/google.cloud.dataproc.v1.BatchController", "/google.longrunning.Operations"
State = Batch.State
ENDED = (State.CANCELLED, State.SUCCEEDED, State.FAILED)
KINDS = ("pyspark_batch", "spark_batch", "spark_r_batch", "spark_sql_batch", "pyspark_notebook_batch")
LABEL = re.compile(r"[a-z]([-a-z0-9_]{0,62})")
PAGE, MOST_IN_PAGE = 20, 1000
TTL_SECONDS = (600, 14 * 86_400)


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Dataproc(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Holds batches by name. Each runs `work` with the batch: it succeeds when that returns and fails when it raises.

    `refusals` are answered instead of the next calls, `lost` instead of the next answers to CreateBatch, which did make
    the batch. Batches stay PENDING while `started` is cleared. `failure_code` is that of a failed batch's operation.
    """

    def __init__(self, work: Callable[[Batch], None] = lambda batch: None) -> None:
        self.work = work
        self.batches: dict[str, Batch] = {}
        self.requests: list[Any] = []
        self.refusals: list[grpc.StatusCode] = []
        self.lost: list[grpc.StatusCode] = []
        self.started = threading.Event()
        self.started.set()
        self.failure_code = code_pb2.UNKNOWN
        self._by_request: dict[str, str] = {}  # operation of each request id
        self._cancelled: dict[str, threading.Event] = {}  # by the batch's name
        self._lock = threading.RLock()
        self._threads: list[threading.Thread] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers((self,))
        self.endpoint = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def close(self) -> None:
        """Answer no longer, and end what runs."""
        self.started.set()
        for cancelled in self._cancelled.values():
            cancelled.set()
        self._server.stop(0).wait()
        for thread in self._threads:
            thread.join()

    def client(self) -> dataproc_v1.BatchControllerClient:
        """The maintained client, without credentials."""
        channel = grpc.insecure_channel(self.endpoint)
        transport = dataproc_v1.BatchControllerClient.get_transport_class("grpc")(channel=channel)
        return dataproc_v1.BatchControllerClient(transport=transport)

    def service(self, call: Any) -> Any:
        """The handler of a call; None: there is no such method, which is answered with UNIMPLEMENTED."""
        methods: dict[str, tuple[Any, Callable[[Any], Any]]] = {
            f"{BATCHES}/CreateBatch": (dataproc_v1.CreateBatchRequest, self._create),
            f"{BATCHES}/GetBatch": (dataproc_v1.GetBatchRequest, lambda request: self._batch(request.name)),
            f"{BATCHES}/ListBatches": (dataproc_v1.ListBatchesRequest, self._list),
            f"{BATCHES}/DeleteBatch": (dataproc_v1.DeleteBatchRequest, self._delete),
            f"{OPERATIONS}/GetOperation": (operations_pb2.GetOperationRequest, self._get_operation),
            f"{OPERATIONS}/CancelOperation": (operations_pb2.CancelOperationRequest, self._cancel),
        }
        if call.method not in methods:
            return None
        request_type, answer = methods[call.method]

        def handle(data: bytes, context: Any) -> bytes:
            request = _decoded(request_type, data)
            self.requests.append(request)
            if self.refusals:
                context.abort(self.refusals.pop(0), "injected")
            try:
                with self._lock:
                    encoded = _encoded(answer(request))
            except Refused as refused:
                context.abort(refused.code, refused.message)
            if self.lost and call.method.endswith("/CreateBatch"):
                context.abort(self.lost.pop(0), "injected: the batch was made")
            return encoded

        return grpc.unary_unary_rpc_method_handler(handle)

    def _create(self, request: dataproc_v1.CreateBatchRequest) -> operations_pb2.Operation:
        _check(request)
        if request.request_id in self._by_request:  # "the second request is ignored and the operation ... is returned"
            return self._operation(self._by_request[request.request_id])
        # An id is optional: https://github.com/apache/airflow/pull/41527
        name = f"{request.parent}/batches/{request.batch_id or uuid.uuid4()}"
        if name in self.batches:
            # The text: https://github.com/dbt-labs/dbt-bigquery, test_python_model.py, which expects it from Google.
            _refuse("ALREADY_EXISTS", f"Already exists: Failed to create batch: Batch {name}")
        batch = Batch(request.batch)
        batch.name, batch.uuid, batch.creator = name, str(uuid.uuid4()), "double@example.iam.gserviceaccount.com"
        batch.operation = f"{request.parent}/operations/{uuid.uuid4()}"
        batch.create_time = _now()
        self.batches[name] = batch
        self._enter(batch, State.PENDING)
        if request.request_id:
            self._by_request[request.request_id] = batch.operation
        self._cancelled[name] = threading.Event()
        thread = threading.Thread(target=self._run, args=(name,), daemon=True)
        self._threads.append(thread)
        thread.start()
        return self._operation(batch.operation)

    def _run(self, name: str) -> None:
        """Bring a batch from PENDING to its end."""
        self.started.wait()
        batch, cancelled = self.batches[name], self._cancelled[name]
        with self._lock:
            if not cancelled.is_set():
                self._enter(batch, State.RUNNING)
        failures: list[str] = []

        def work() -> None:
            try:
                self.work(Batch(batch))
            except Exception as error:  # whatever the work does ends the batch, as on Google's machines
                failures.append(f"{type(error).__name__}: {error}")
            done.set()

        done = threading.Event()
        if not cancelled.is_set():
            threading.Thread(target=work, daemon=True).start()
        while not (cancelled.is_set() or done.wait(0.005)):
            pass
        with self._lock:
            if cancelled.is_set():
                self._enter(batch, State.CANCELLED, "Batch was cancelled.")
            elif failures:
                self._enter(batch, State.FAILED, failures[0])
            else:
                self._enter(batch, State.SUCCEEDED)

    def _enter(self, batch: Batch, state: Batch.State, message: str = "") -> None:
        """Give a batch a new state; the one before becomes history."""
        if batch.state:
            batch.state_history.append(
                Batch.StateHistory(
                    state=batch.state, state_message=batch.state_message, state_start_time=batch.state_time
                )
            )
        batch.state, batch.state_message, batch.state_time = state, message, _now()

    def _batch(self, name: str) -> Batch:
        if name not in self.batches:
            _refuse("NOT_FOUND", f"Not found: Batch {name}")
        return self.batches[name]

    def _list(self, request: dataproc_v1.ListBatchesRequest) -> dataproc_v1.ListBatchesResponse:
        if request.filter:
            _refuse("UNIMPLEMENTED", "this double knows no filters")
        if request.order_by not in ("", "create_time desc"):
            _refuse("INVALID_ARGUMENT", f"order_by: {request.order_by}")
        found = [batch for name, batch in self.batches.items() if name.startswith(f"{request.parent}/batches/")]
        if request.order_by:
            found.reverse()
        first, size = int(request.page_token or 0), min(request.page_size or PAGE, MOST_IN_PAGE)
        rest = str(first + size) if first + size < len(found) else ""
        return dataproc_v1.ListBatchesResponse(batches=found[first : first + size], next_page_token=rest)

    def _delete(self, request: dataproc_v1.DeleteBatchRequest) -> empty_pb2.Empty:
        if self._batch(request.name).state not in ENDED:
            _refuse("FAILED_PRECONDITION", f"Batch {request.name} is not in a terminal state")
        del self.batches[request.name]
        return empty_pb2.Empty()

    def _get_operation(self, request: operations_pb2.GetOperationRequest) -> operations_pb2.Operation:
        return self._operation(request.name)

    def _cancel(self, request: operations_pb2.CancelOperationRequest) -> empty_pb2.Empty:
        """Start to cancel. The work is left alone: what it does later counts no longer."""
        batch = self._of_operation(request.name)
        if batch.state not in (*ENDED, State.CANCELLING):
            self._enter(batch, State.CANCELLING)
            self._cancelled[batch.name].set()
            self.started.set()
        return empty_pb2.Empty()

    def _of_operation(self, name: str) -> Batch:
        batch = next((batch for batch in self.batches.values() if batch.operation == name), None)
        if batch is None:
            _refuse("NOT_FOUND", f"Not found: Operation {name}")
        return batch

    def _operation(self, name: str) -> operations_pb2.Operation:
        """The operation is done when its batch has ended.

        That of a cancelled batch has no error, whatever operations.proto says: a caller who waited for its result went
        on as after a success. https://github.com/apache/airflow/issues/29109
        """
        batch = self._of_operation(name)
        metadata = dataproc_v1.BatchOperationMetadata(
            batch=batch.name, batch_uuid=batch.uuid, create_time=batch.create_time, operation_type="BATCH"
        )
        operation = operations_pb2.Operation(name=name, metadata=_packed(metadata), done=batch.state in ENDED)
        if batch.state == State.FAILED:
            operation.error.CopyFrom(status_pb2.Status(code=self.failure_code, message=batch.state_message))
        elif operation.done:
            operation.response.CopyFrom(_packed(batch))
        return operation


def _check(request: dataproc_v1.CreateBatchRequest) -> None:
    """What the comments of the proto files demand of a request."""
    batch = request.batch
    execution = batch.environment_config.execution_config
    demands = {
        "parent: projects/PROJECT/locations/REGION": re.fullmatch(r"projects/[^/]+/locations/[^/]+", request.parent),
        "batch_id: 4-63 characters of [a-z0-9-]": re.fullmatch(r"|[a-z0-9-]{4,63}", request.batch_id),
        "request_id: at most 40 characters of [a-zA-Z0-9_-]": re.fullmatch(r"[a-zA-Z0-9_-]{0,40}", request.request_id),
        "batch: one batch_config is required": any(kind in batch for kind in KINDS),
        "pyspark_batch.main_python_file_uri: a .py file": "pyspark_batch" not in batch
        or batch.pyspark_batch.main_python_file_uri.endswith(".py"),
        "labels: at most 32": len(batch.labels) <= 32,
        "labels: keys and values of RFC 1035, 1 to 63 characters": all(
            LABEL.fullmatch(key) and (not value or re.fullmatch(r"[-a-z0-9_]{1,63}", value))
            for key, value in batch.labels.items()
        ),
        "execution_config.staging_bucket: a name, no URI": "/" not in execution.staging_bucket,
        "execution_config.ttl: 10 minutes to 14 days": "ttl" not in execution
        or TTL_SECONDS[0] <= execution.ttl.total_seconds() <= TTL_SECONDS[1],
        "execution_config.idle_ttl: sessions only": "idle_ttl" not in execution,
    }
    if broken := [demand for demand, met in demands.items() if not met]:
        _refuse("INVALID_ARGUMENT", "; ".join(broken))


def _refuse(code: str, message: str) -> NoReturn:
    raise Refused(grpc.StatusCode[code], message)


def _now() -> timestamp_pb2.Timestamp:
    now = timestamp_pb2.Timestamp()
    now.GetCurrentTime()
    return now


def _packed(message: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(type(message).pb(message))
    return packed


def _decoded(request_type: Any, data: bytes) -> Any:
    return request_type.FromString(data) if hasattr(request_type, "FromString") else request_type.deserialize(data)


def _encoded(message: Any) -> bytes:
    encoded = message.SerializeToString() if hasattr(message, "SerializeToString") else type(message).serialize(message)
    return bytes(encoded)
