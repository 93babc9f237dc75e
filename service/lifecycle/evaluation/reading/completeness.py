"""Are all prediction records there? Their number against the service's own counter of those it wrote.

`--counter` names either one instance's page, `http://host:port/metrics`, which counts since that process started, or
the base of a Prometheus query API, which knows the counter over time:
`https://monitoring.googleapis.com/v1/projects/ID/location/global/prometheus` in the cloud
(https://cloud.google.com/stackdriver/docs/managed-prometheus/query-api-ui), `http://host:9090` elsewhere.
"""

import json
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from service.lifecycle.runtime.runner import JobFailed

COUNTER = "leadscoring_records_written_total"
ALLOWED = 0.001
"""Share of the records that may be missing."""

TRIES, WAIT_S, ANSWER_S = 3, 2.0, 60.0
STEP = timedelta(hours=6)
"""Asked for at once: at a sample each 30 s, 720 a pod."""

BEFORE = timedelta(minutes=10)
"""How far before the window a series is looked for, to tell one that went on from one that began in it."""

GOOGLE = "https://monitoring.googleapis.com/"
SCOPE = "https://www.googleapis.com/auth/monitoring.read"


@dataclass(frozen=True)
class Counted:
    """Records that the service counted as written in [since, until)."""

    since: datetime
    until: datetime
    written: float


@dataclass(frozen=True)
class Completeness:
    """Records written as the service counted them, and those found, of [since, until)."""

    since: datetime
    until: datetime
    written: float
    found: int

    @property
    def missing(self) -> float:
        """Share of the written records that are not there. More found than counted is no lack."""
        return max(0.0, (self.written - self.found) / self.written) if self.written else 0.0

    @property
    def complete(self) -> bool:
        """Whether no more are missing than is allowed."""
        return self.missing <= ALLOWED


def ask(url: str, since: datetime, until: datetime) -> Counted | None:
    """What the counter says of this time; None where it knows nothing of it. Raises JobFailed when it cannot be asked.

    A page says what its process wrote in all its life instead, and covers one instance only.
    """
    if urllib.parse.urlsplit(url).path.endswith("/metrics"):
        return _by_page(_get(url).decode())
    written = _by_query(url, since, until)
    return None if written is None else Counted(since, until, written)


def increase(samples: list[tuple[float, float]], since: float) -> float:
    """What a counter gained after `since`, given (time, value) oldest first; one that falls began anew at 0.

    A series that is not seen by `since` began after it, at 0.
    """
    gained, last = 0.0, 0.0
    for at, value in samples:
        if at > since:
            gained += value - last if value >= last else value
        last = value
    return gained


def _by_page(page: str) -> Counted:
    sums: dict[str, float] = {}
    try:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    except ValueError as error:
        raise JobFailed(f"--counter: the page is not in Prometheus' text format ({error})") from error
    names = (COUNTER, "leadscoring_records_uploaded_total", "process_start_time_seconds")
    if absent := [name for name in names if name not in sums]:
        raise JobFailed(f"--counter: the page has no {', '.join(absent)}; is it the scoring service's?")
    written, uploaded, started = (sums[name] for name in names)
    since, until = datetime.fromtimestamp(started, UTC), datetime.now(UTC)
    # What waits in the spool is not missing.
    return Counted(since, until, min(written, uploaded))


def _by_query(url: str, since: datetime, until: datetime) -> float | None:
    series: dict[str, dict[float, float]] = {}
    end = since
    while end < until:
        start, end = end, min(end + STEP, until)
        reach = end - start + (BEFORE if start == since else timedelta(0))
        query = {"query": f"{COUNTER}[{int(reach.total_seconds())}s]", "time": f"{end.timestamp():.3f}"}
        for found in _matrix(url, query):
            values = series.setdefault(json.dumps(found["metric"], sort_keys=True), {})
            values |= {float(at): float(value) for at, value in found["values"]}
    if not series:
        return None
    return sum(increase(sorted(values.items()), since.timestamp()) for values in series.values())


def _matrix(url: str, query: dict[str, str]) -> list[dict[str, Any]]:
    answer = _get(f"{url.rstrip('/')}/api/v1/query?{urllib.parse.urlencode(query)}")
    try:
        document = json.loads(answer)
        if document["data"]["resultType"] != "matrix":
            raise ValueError(f"a {document['data']['resultType']} came back")
        return list(document["data"]["result"])
    except (ValueError, KeyError, TypeError) as error:
        raise JobFailed(f"--counter {url}: is no Prometheus query API ({error})") from error


def _get(url: str) -> bytes:
    if not url.startswith(("http://", "https://")):
        raise JobFailed(f"--counter {url}: give http://... or https://...")
    request = urllib.request.Request(url)  # noqa: S310 - http(s), checked above
    if url.startswith(GOOGLE):
        request.add_header("Authorization", f"Bearer {_token()}")
    for attempt in range(1, TRIES + 1):
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310
                return bytes(answer.read())
        except OSError as error:
            if attempt == TRIES:
                raise JobFailed(f"--counter {url}: cannot be asked ({error})") from error
            time.sleep(WAIT_S * attempt)
    raise AssertionError("unreachable")


def _token() -> str:
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import Request

    try:
        credentials, _ = google.auth.default(scopes=[SCOPE])
        credentials.refresh(Request())
    except GoogleAuthError as error:
        raise JobFailed(f"--counter: no credentials for Cloud Monitoring ({error})") from error
    return str(credentials.token)
