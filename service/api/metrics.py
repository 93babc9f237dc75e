"""Every metric that the service exports, in one place; `monitoring` writes alerts on these names."""

from typing import get_args

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

from service.api.identity import IdentityRefusal
from service.model.bundle import Refusal
from service.model.decide import Decision

disable_created_metrics()  # type: ignore[no-untyped-call]

REQUESTS = Counter("leadscoring_requests", "HTTP requests answered.", ["route", "method", "status"])
DURATION = Histogram(
    "leadscoring_request_duration_seconds",
    "Time from the request's first byte to its answer's last.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
LEADS = Counter("leadscoring_leads_scored", "Leads scored and recorded.", ["decision"])
SCORES = Counter("leadscoring_scores", "Scores given, by the tenth of the scale that they lie in.", ["tenth"])
MODEL = Gauge("leadscoring_model_info", "1 for the model version that is served.", ["version"])
MODEL_LOADED = Gauge("leadscoring_model_loaded_timestamp_seconds", "When the served model was loaded, or named again.")
SWAPS = Counter("leadscoring_model_swaps", "Models put in service, the first included.")
REFUSED = Counter("leadscoring_bundle_refused", "Bundles refused; the old model stayed.", ["reason"])
POINTER_READ = Gauge("leadscoring_pointer_last_success_timestamp_seconds", "When the pointer was last read.")
CALLERS_REFUSED = Counter("leadscoring_callers_refused", "Requests without a valid assertion.", ["reason"])
SHED = Counter("leadscoring_requests_shed", "Requests refused beyond capacity.", ["lacking"])
CONNECTIONS_CLOSED = Counter("leadscoring_connections_closed", "Connections closed on callers' account.", ["reason"])
SPOOL_BYTES = Gauge("leadscoring_spool_bytes", "Bytes of records that wait for upload.")
RECORDS_WRITTEN = Counter("leadscoring_records_written", "Prediction records put into the spool.")
RECORDS_UPLOADED = Counter("leadscoring_records_uploaded", "Prediction records uploaded.")
UPLOAD_FAILURES = Counter("leadscoring_upload_failures", "Uploads of records that failed and are tried again.")

TENTHS = tuple(f"{n / 10}-{(n + 1) / 10}" for n in range(10))  # 1.0 belongs to the last

# From the start at 0: a counter that appears with its first event shows PromQL no growth by it.
for status in (200, 500, 503):
    REQUESTS.labels("/v1/score", "POST", status)
DURATION.labels("/v1/score")
for decision in get_args(Decision):
    LEADS.labels(decision)
for tenth in TENTHS:
    SCORES.labels(tenth)
for reason in get_args(Refusal):
    REFUSED.labels(reason)
for reason in get_args(IdentityRefusal):
    CALLERS_REFUSED.labels(reason)
for lacking in ("time", "memory", "explaining"):
    SHED.labels(lacking)
for reason in ("too_many", "rested", "head_too_long", "head_too_slow", "body_too_slow", "answer_not_read", "upgrade"):
    CONNECTIONS_CLOSED.labels(reason)
