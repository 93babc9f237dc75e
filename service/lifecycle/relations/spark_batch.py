"""Runs a program as a batch of Serverless for Apache Spark, and waits for its end.

https://cloud.google.com/dataproc-serverless/docs
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from google.api_core.exceptions import DeadlineExceeded, GoogleAPICallError, NotFound, RetryError, ServiceUnavailable
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.cloud.dataproc_v1 import Batch, BatchControllerClient, CreateBatchRequest
from google.cloud.dataproc_v1.services.batch_controller.transports import BatchControllerGrpcTransport
from google.protobuf.duration_pb2 import Duration

from service.lifecycle.relations.relation import RelationsFailed

RUNTIME = "2.3"
"""Long-term support until 2027-11-26. 3.0 has none, ends earlier, runs batches as the user who submits them and uses no
staging bucket. https://docs.cloud.google.com/managed-spark/docs/concepts/versions/serverless-versions"""

LIMIT_S = 2 * 3600
"""Seconds after which Google ends a batch, from 600."""
QUEUE_S = 900
"""Seconds that a batch may take besides: until it starts, and until its end is noticed."""
MOST_EXECUTORS = 2
"""Executors of four CPUs that a batch may have besides its driver: what `infra` asks a quota for, and the least."""

POLL_S, CALL_S, CANCEL_S = 5.0, 30.0, 4.0
"""Seconds between two looks at a batch; that a call may take; and each of two calls that cancel a batch: Cloud Run
leaves ten seconds between SIGTERM and SIGKILL (https://cloud.google.com/run/docs/container-contract)."""
UNREACHABLE = Retry(
    predicate=if_exception_type(ServiceUnavailable, DeadlineExceeded), initial=1, maximum=30, timeout=300
)

Progress = Callable[[str], None]
State = Batch.State
ENDED = (State.SUCCEEDED, State.FAILED, State.CANCELLED)
VARIABLES = {
    "parent": "LEADSCORING_SPARK_PARENT",
    "staging": "LEADSCORING_SPARK_STAGING",
    "subnetwork": "LEADSCORING_SPARK_SUBNETWORK",
    "service_account": "LEADSCORING_SPARK_ACCOUNT",
    "kms_key": "LEADSCORING_SPARK_KEY",
}
_FAILURES = (GoogleAPICallError, GoogleAuthError, RetryError)


@dataclass(frozen=True)
class SparkPlace:
    """Where batches run: projects/ID/locations/REGION, and with what network, identity and key.

    `staging` is the folder or gs://bucket/prefix of what goes to a batch and comes from it.
    """

    parent: str
    staging: str
    subnetwork: str
    service_account: str
    kms_key: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "SparkPlace":
        """As VARIABLES say. Raises RelationsFailed where one is missing."""
        found = {field: environment.get(variable, "") for field, variable in VARIABLES.items()}
        if missing := [VARIABLES[field] for field, value in found.items() if not value and field != "kms_key"]:
            raise RelationsFailed(
                f"the record engine is spark, and {', '.join(missing)} not set; set it, or take duckdb"
            )
        if not re.fullmatch(r"projects/[^/]+/locations/[^/]+", found["parent"]):
            raise RelationsFailed(f"{VARIABLES['parent']}={found['parent']}: give projects/ID/locations/REGION")
        return cls(**found)


def run_batch(place: SparkPlace, batch_id: str, program: str, argument: str, tell: Progress) -> None:
    """Run the Python program at this address with the argument, until it has succeeded.

    Whatever ends the wait, a signal too, cancels the batch. Raises RelationsFailed.
    """
    name = f"{place.parent}/batches/{batch_id}"
    request = CreateBatchRequest(
        parent=place.parent, batch=_batch(place, program, argument), batch_id=batch_id, request_id=batch_id
    )
    try:
        client = _client(place.parent)
        with _cancelled_unless_ended(client, name, tell):
            # The API knows a repeated request by its id, so that a lost answer starts no second batch.
            client.create_batch(request, retry=UNREACHABLE, timeout=CALL_S)
            batch = _ended(client, name, tell)
    except _FAILURES as error:
        cause = getattr(error, "cause", None) or error
        raise RelationsFailed(
            f"Spark batch {name} could not be run: {cause}. Correct the permission, the quota or the network that it "
            "names, then run the job again"
        ) from error
    if batch.state != State.SUCCEEDED:
        raise RelationsFailed(
            f"Spark batch {name} {State(batch.state).name.lower()}: {batch.state_message or 'no reason is given'}. "
            f"What its program wrote: {batch.runtime_info.output_uri or 'the batch, in the console, shows it'}. "
            "The job may be run again; with --engine duckdb it needs no Spark"
        )


def _batch(place: SparkPlace, program: str, argument: str) -> Batch:
    bucket = place.staging.removeprefix("gs://").partition("/")[0] if place.staging.startswith("gs://") else ""
    execution = {
        "service_account": place.service_account,
        "subnetwork_uri": place.subnetwork,
        "kms_key": place.kms_key,
        "staging_bucket": bucket,
        "ttl": Duration(seconds=LIMIT_S),
    }
    return Batch(
        pyspark_batch={"main_python_file_uri": program, "args": [argument]},
        labels={"part": "lead-scoring"},
        runtime_config={
            "version": RUNTIME,
            "properties": {"spark.dynamicAllocation.maxExecutors": str(MOST_EXECUTORS)},
        },
        environment_config={"execution_config": execution},
    )


def _ended(client: BatchControllerClient, name: str, tell: Progress) -> Batch:
    """The batch, once it has ended. Raises RelationsFailed when that takes too long."""
    begun = time.monotonic()
    while True:
        batch = client.get_batch(name=name, retry=UNREACHABLE, timeout=CALL_S)
        if batch.state in ENDED:
            return batch
        seconds = time.monotonic() - begun
        if seconds > LIMIT_S + QUEUE_S:
            raise RelationsFailed(
                f"Spark batch {name} was {State(batch.state).name.lower()} after {seconds:,.0f} s and is cancelled. "
                "Look at the quota of its region and at the batch in the console; then run the job again"
            )
        tell(f"Spark batch {name} is {State(batch.state).name.lower()}, {seconds:,.0f} s")
        time.sleep(POLL_S)


@contextmanager
def _cancelled_unless_ended(client: BatchControllerClient, name: str, tell: Progress) -> Iterator[None]:
    try:
        yield
    except BaseException:
        try:
            operation = client.get_batch(name=name, retry=None, timeout=CANCEL_S).operation
            client.cancel_operation({"name": operation}, retry=None, timeout=CANCEL_S)
            tell(f"Spark batch {name} is being cancelled")
        except NotFound:
            pass  # it was never made
        except _FAILURES as error:
            tell(f"Spark batch {name} may still run ({error}); to end it: gcloud dataproc batches cancel {name}")
        raise


def _client(location: str) -> BatchControllerClient:
    """A client of the region's API, or of LEADSCORING_DATAPROC_EMULATOR (host:port, no TLS, no credentials)."""
    if emulator := os.environ.get("LEADSCORING_DATAPROC_EMULATOR"):
        return BatchControllerClient(transport=BatchControllerGrpcTransport(channel=grpc.insecure_channel(emulator)))
    # As in Google's samples: github.com/googleapis/python-dataproc, samples/snippets/submit_job.py
    endpoint = f"{location.rpartition('/')[2]}-dataproc.googleapis.com:443"
    return BatchControllerClient(client_options={"api_endpoint": endpoint})
