"""The double of Dataproc's batches, asked by the maintained client."""

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.api_core.future import polling
from google.cloud import dataproc_v1

from tests.service.dataproc_double import Dataproc

PARENT = "projects/acme-leads-dev/locations/europe-west1"
State = dataproc_v1.Batch.State
QUICK = polling.DEFAULT_POLLING.with_delay(0.01, 0.01).with_timeout(20)


@pytest.fixture
def double() -> Iterator[Dataproc]:
    double = Dataproc()
    yield double
    double.close()


def _request(batch_id: str = "evaluate-1", request_id: str = "", **parts: Any) -> dataproc_v1.CreateBatchRequest:
    parts = parts or {"pyspark_batch": {"main_python_file_uri": "gs://acme-leads-dev-spark/run.py"}}
    return dataproc_v1.CreateBatchRequest(
        parent=PARENT, batch=dataproc_v1.Batch(parts), batch_id=batch_id, request_id=request_id
    )


def test_a_batch_runs_and_its_operation_holds_it(double: Dataproc) -> None:
    ran: list[str] = []
    double.work = lambda batch: ran.append(batch.pyspark_batch.main_python_file_uri)
    client = double.client()
    operation = client.create_batch(_request())
    assert operation.metadata.batch == f"{PARENT}/batches/evaluate-1"
    batch = operation.result(polling=QUICK)
    assert (batch.state, ran) == (State.SUCCEEDED, ["gs://acme-leads-dev-spark/run.py"])
    assert [past.state for past in batch.state_history] == [State.PENDING, State.RUNNING]
    assert client.get_batch(name=batch.name).operation == operation.operation.name


def test_a_batch_that_fails_says_why_in_its_state_and_in_its_operation(double: Dataproc) -> None:
    def fails(batch: dataproc_v1.Batch) -> None:
        raise ValueError("no such column")

    double.work = fails
    client = double.client()
    with pytest.raises(exceptions.GoogleAPICallError, match="no such column"):
        client.create_batch(_request()).result(polling=QUICK)
    batch = client.get_batch(name=f"{PARENT}/batches/evaluate-1")
    assert (batch.state, batch.state_message) == (State.FAILED, "ValueError: no such column")


def test_a_cancelled_batch_ends_without_an_error_in_its_operation(double: Dataproc) -> None:
    hangs = threading.Event()
    double.work = lambda batch: _wait(hangs)
    client = double.client()
    operation = client.create_batch(_request())
    operation.cancel()
    assert operation.result(polling=QUICK).state == State.CANCELLED
    hangs.set()


def _wait(hangs: threading.Event) -> None:
    hangs.wait(20)


def test_the_same_request_id_makes_one_batch_even_where_the_answer_was_lost(double: Dataproc) -> None:
    client, request_id = double.client(), str(uuid.uuid4())
    double.lost.append(grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(exceptions.ServiceUnavailable):
        client.create_batch(_request(request_id=request_id))
    again = client.create_batch(_request(request_id=request_id))
    assert list(double.batches) == [again.metadata.batch]


def test_the_same_batch_id_is_refused(double: Dataproc) -> None:
    client = double.client()
    client.create_batch(_request())
    with pytest.raises(exceptions.AlreadyExists, match="Already exists: Failed to create batch"):
        client.create_batch(_request(request_id="other"))


def test_only_a_batch_that_has_ended_can_be_deleted(double: Dataproc) -> None:
    double.started.clear()
    client = double.client()
    operation = client.create_batch(_request())
    name = operation.metadata.batch
    assert client.get_batch(name=name).state == State.PENDING
    with pytest.raises(exceptions.FailedPrecondition):
        client.delete_batch(name=name)
    double.started.set()
    operation.result(polling=QUICK)
    client.delete_batch(name=name)
    with pytest.raises(exceptions.NotFound):
        client.get_batch(name=name)


def test_batches_are_listed_in_pages_the_newest_first_where_asked_for(double: Dataproc) -> None:
    client = double.client()
    for number in range(3):
        client.create_batch(_request(f"batch-{number}"))
    listed = client.list_batches(
        dataproc_v1.ListBatchesRequest(parent=PARENT, page_size=2, order_by="create_time desc")
    )
    assert [batch.name.rpartition("-")[2] for batch in listed] == ["2", "1", "0"]


PYSPARK = {"main_python_file_uri": "gs://bucket/run.py"}


@pytest.mark.parametrize(
    ("batch_id", "parts", "named"),
    [
        ("no", {"pyspark_batch": PYSPARK}, "batch_id"),
        ("With-Capitals", {"pyspark_batch": PYSPARK}, "batch_id"),
        ("evaluate", {"labels": {"job": "evaluate"}}, "batch_config"),
        ("evaluate", {"pyspark_batch": {"main_python_file_uri": "gs://bucket/run.sql"}}, "main_python_file_uri"),
        ("evaluate", {"pyspark_batch": PYSPARK, "labels": {"1st": "x"}}, "labels"),
        (
            "evaluate",
            {"pyspark_batch": PYSPARK, "environment_config": {"execution_config": {"staging_bucket": "gs://bucket"}}},
            "staging_bucket",
        ),
        (
            "evaluate",
            {"pyspark_batch": PYSPARK, "environment_config": {"execution_config": {"ttl": {"seconds": 599}}}},
            "ttl",
        ),
    ],
)
def test_a_request_that_the_api_forbids_is_refused(
    double: Dataproc, batch_id: str, parts: dict[str, Any], named: str
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=named):
        double.client().create_batch(_request(batch_id, **parts))
    assert not double.batches


def test_an_injected_refusal_makes_no_batch(double: Dataproc) -> None:
    double.refusals.append(grpc.StatusCode.RESOURCE_EXHAUSTED)
    with pytest.raises(exceptions.ResourceExhausted):
        double.client().create_batch(_request())
    assert not double.batches
