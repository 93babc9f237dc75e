"""Batches, asked for through the double of Dataproc; the program is a function here."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import grpc
import pytest
from google.cloud.dataproc_v1 import Batch, CreateBatchRequest

from service.lifecycle.relations import spark_batch
from service.lifecycle.relations.relation import RelationsFailed
from service.lifecycle.relations.spark_batch import SparkPlace, run_batch
from tests.service.dataproc_double import Dataproc

PLACE = SparkPlace(
    "projects/acme-leads-dev/locations/europe-west1",
    "gs://acme-leads-dev-spark/relations",
    "projects/acme-leads-dev/regions/europe-west1/subnetworks/spark",
    "spark@acme-leads-dev.iam.gserviceaccount.com",
    "projects/acme-leads-dev/locations/europe-west1/keyRings/leads/cryptoKeys/spark",
)
PROGRAM, JOB = "gs://acme-leads-dev-spark/relations/1/run.py", "gs://acme-leads-dev-spark/relations/1/job.json"
State = Batch.State


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dataproc]:
    double = Dataproc()
    monkeypatch.setenv("LEADSCORING_DATAPROC_EMULATOR", double.endpoint)
    monkeypatch.setattr(spark_batch, "POLL_S", 0.01)
    yield double
    double.close()


def _run(told: list[str] | None = None) -> None:
    run_batch(PLACE, "evaluate-1", PROGRAM, JOB, ([] if told is None else told).append)


def test_a_batch_runs_the_program_with_its_identity_network_key_and_bounds(double: Dataproc) -> None:
    ran: list[list[str]] = []
    double.work = lambda batch: ran.append([batch.pyspark_batch.main_python_file_uri, *batch.pyspark_batch.args])
    _run()
    assert ran == [[PROGRAM, JOB]]
    [batch] = double.batches.values()
    execution = batch.environment_config.execution_config
    assert execution.service_account == PLACE.service_account
    assert (execution.subnetwork_uri, execution.kms_key) == (PLACE.subnetwork, PLACE.kms_key)
    assert execution.staging_bucket == "acme-leads-dev-spark"
    assert execution.ttl == timedelta(seconds=spark_batch.LIMIT_S)
    assert batch.runtime_config.version == spark_batch.RUNTIME
    assert int(batch.runtime_config.properties["spark.dynamicAllocation.maxExecutors"]) == spark_batch.MOST_EXECUTORS


def test_what_a_batch_waits_for_is_told(double: Dataproc) -> None:
    double.started.clear()
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        double.started.set()

    run_batch(PLACE, "evaluate-1", PROGRAM, JOB, tell)
    assert "evaluate-1 is pending" in told[0]


def test_a_failed_batch_says_which_why_and_where_its_output_is(double: Dataproc) -> None:
    def fails(batch: Batch) -> None:
        double.batches[batch.name].runtime_info.output_uri = "gs://acme-leads-dev-spark/google/driveroutput"
        raise RuntimeError("relation cells: no such column")

    double.work = fails
    with pytest.raises(RelationsFailed) as refused:
        _run()
    for part in ("batches/evaluate-1 failed", "no such column", "gs://acme-leads-dev-spark/google/driveroutput"):
        assert part in str(refused.value)


def test_a_lost_answer_starts_no_second_batch(double: Dataproc) -> None:
    double.lost = [grpc.StatusCode.UNAVAILABLE]
    _run()
    assert [type(request) for request in double.requests].count(CreateBatchRequest) == 2
    assert len(double.batches) == 1


def test_a_refusal_is_passed_on_with_its_reason(double: Dataproc) -> None:
    double.refusals = [grpc.StatusCode.PERMISSION_DENIED]
    with pytest.raises(RelationsFailed, match=r"evaluate-1 could not be run: 403 injected"):
        _run()
    assert not double.batches


@pytest.mark.parametrize("ending", [SystemExit(143), KeyboardInterrupt()], ids=["SIGTERM", "Ctrl-C"])
def test_a_batch_is_cancelled_when_its_job_is_ended(double: Dataproc, ending: BaseException) -> None:
    hangs = threading.Event()

    def hang(_: Batch) -> None:
        hangs.wait(20)

    double.work = hang

    def end(_: str) -> None:
        if double.batches[f"{PLACE.parent}/batches/evaluate-1"].state == State.RUNNING and not told:
            told.append("ended")
            raise ending

    told: list[str] = []
    with pytest.raises(type(ending)):
        run_batch(PLACE, "evaluate-1", PROGRAM, JOB, end)
    hangs.set()
    [batch] = double.batches.values()
    assert batch.state in (State.CANCELLING, State.CANCELLED)


def test_a_batch_that_takes_too_long_is_cancelled(double: Dataproc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_batch, "QUEUE_S", -spark_batch.LIMIT_S)
    double.started.clear()
    with pytest.raises(RelationsFailed, match=r"evaluate-1 was pending after .* is cancelled"):
        _run()
    [batch] = double.batches.values()
    assert batch.state in (State.CANCELLING, State.CANCELLED)


def test_a_batch_that_cannot_be_cancelled_is_named_with_the_command_that_ends_it(double: Dataproc) -> None:
    told: list[str] = []

    def end(line: str) -> None:
        told.append(line)
        if len(told) == 1:
            double.refusals = [grpc.StatusCode.UNAVAILABLE]
            raise SystemExit(143)

    double.started.clear()
    with pytest.raises(SystemExit):
        run_batch(PLACE, "evaluate-1", PROGRAM, JOB, end)
    assert f"gcloud dataproc batches cancel {PLACE.parent}/batches/evaluate-1" in told[-1]


def test_a_batch_cancelled_by_others_is_no_success(double: Dataproc) -> None:
    def cancelled(batch: Batch) -> None:
        double.client().cancel_operation({"name": batch.operation})

    double.work = cancelled
    with pytest.raises(RelationsFailed, match="evaluate-1 cancelled"):
        _run()


def test_missing_variables_are_named() -> None:
    with pytest.raises(RelationsFailed, match=r"LEADSCORING_SPARK_PARENT, LEADSCORING_SPARK_SUBNETWORK") as refused:
        SparkPlace.from_environment({"LEADSCORING_SPARK_STAGING": "gs://b", "LEADSCORING_SPARK_ACCOUNT": "a@b"})
    assert "_KEY" not in str(refused.value)
    assert "STAGING" not in str(refused.value)


def test_a_parent_that_is_none_is_named() -> None:
    values = dict.fromkeys(spark_batch.VARIABLES.values(), "x")
    with pytest.raises(RelationsFailed, match="LEADSCORING_SPARK_PARENT=x: give projects/ID/locations/REGION"):
        SparkPlace.from_environment(values)
