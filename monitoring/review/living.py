"""Asks a living Prometheus, or what answers as one does. Only range queries are sent, by GET: nothing can be changed.

Google's: https://cloud.google.com/monitoring/api/ref_v3/rest/v1/projects.location.prometheus.api.v1/query_range
"""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from monitoring.simulation.tsdb import POINTS

GOOGLE = "https://monitoring.googleapis.com/v1/projects/{project}/location/global/prometheus"
SCOPE = "https://www.googleapis.com/auth/monitoring.read"
TOKEN = "PROMETHEUS_TOKEN"  # noqa: S105, the variable's name
ANSWERS_WITHIN = 60.0  # seconds
MOST_BYTES = 64_000_000  # of one answer
ATTEMPTS, PAUSE = 3, 1.0  # of a query, and seconds before the second; twice as many before the third
AGAIN = (429, 500, 502, 503, 504)

Values = list[tuple[dict[str, str], NDArray[np.float64]]]


class CannotAskError(Exception):
    """Nothing can be asked: no connection, no permission, or no answer that is understood."""


class RefusedError(Exception):
    """One query is refused; the message is the server's."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token goes to the address that was given, and to no other."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""


@dataclass(frozen=True, slots=True)
class Living:
    """An API below `url`; `token` gives what goes into the header Authorization, or nothing."""

    url: str
    token: Callable[[], str] = field(default=lambda: "")

    def values(self, expr: str, times: NDArray[np.int64]) -> Values:
        """The labels of each series, and its values at the times (evenly spaced), NaN where it has none."""
        step = int(times[1] - times[0]) if len(times) > 1 else 60
        found: dict[str, NDArray[np.float64]] = {}
        for first in range(0, len(times), POINTS):
            part = times[first : first + POINTS]
            for series in self._range(expr, int(part[0]), int(part[-1]), step):
                labels = json.dumps(series["metric"], sort_keys=True)
                values = found.setdefault(labels, np.full(len(times), np.nan))
                for when, value in series["values"]:
                    values[(int(float(when)) - times[0]) // step] = float(value)
        return [(json.loads(labels), values) for labels, values in sorted(found.items())]

    def now(self, expr: str, at: int) -> list[tuple[dict[str, str], float]]:
        """The labels and the value of each series at a moment."""
        return [(labels, float(values[0])) for labels, values in self.values(expr, np.array([at], np.int64))]

    def _range(self, expr: str, start: int, end: int, step: int) -> list[dict[str, Any]]:
        asked = urllib.parse.urlencode({"query": expr, "start": start, "end": end, "step": step})
        body = self._get(f"{self.url.rstrip('/')}/api/v1/query_range?{asked}")
        try:
            answer = json.loads(body)
            result = answer["data"]["result"]
            if answer["status"] == "success" and isinstance(result, list):
                return result
        except (ValueError, KeyError, TypeError) as error:
            raise CannotAskError(f"{self.url} does not answer as Prometheus does: {body[:200]!r}") from error
        raise CannotAskError(f"{self.url} does not answer as Prometheus does: {body[:200]!r}")

    def _get(self, url: str) -> bytes:
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE * 2 ** (attempt - 1))
            last = attempt == ATTEMPTS - 1
            try:
                return self._once(url)
            except urllib.error.HTTPError as error:
                if last or error.code not in AGAIN:
                    self._refused(error)
            except (OSError, HTTPException) as error:
                if last:
                    raise CannotAskError(f"{self.url} cannot be reached: {error}") from error
        raise AssertionError("unreachable")

    def _once(self, url: str) -> bytes:
        token = self.token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(url, headers=headers)  # noqa: S310, `connect` takes http and https alone
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=ANSWERS_WITHIN) as answer:
            body: bytes = answer.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise RefusedError(f"the answer is longer than {MOST_BYTES:,} bytes")
        return body

    def _refused(self, error: urllib.error.HTTPError) -> NoReturn:
        said = _said(error)
        if error.code in (400, 422):  # the query: https://prometheus.io/docs/prometheus/latest/querying/api/
            raise RefusedError(said) from error
        grant = " It needs roles/monitoring.viewer." if error.code in (401, 403) else ""
        raise CannotAskError(f"{self.url} answers {error.code}: {said}{grant}") from error


def _said(error: urllib.error.HTTPError) -> str:
    """What the server says: Prometheus' error is text, Google's an object with a message."""
    text = error.read(10_000).decode(errors="replace")
    try:
        said = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        said = text
    return str(said.get("message", said) if isinstance(said, dict) else said).strip()[:500]


def connect(url: str, environ: Mapping[str, str] = os.environ) -> Living:
    """An API with the credentials for it. Raises CannotAskError where there are none, or they would go out in clear."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CannotAskError(f"{url!r} is no address: give https://HOST/PATH, without /api/v1")
    token = environ.get(TOKEN, "")
    if token and parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise CannotAskError(f"{url} is not encrypted: {TOKEN} is sent to https and to this machine alone")
    if token or parts.scheme == "http" or not parts.hostname.endswith(".googleapis.com"):
        return Living(url, lambda: token)
    return Living(url, _default_credentials())


def _default_credentials() -> Callable[[], str]:
    import google.auth  # only where Google is asked
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import Request

    try:
        credentials, _ = google.auth.default(scopes=[SCOPE])
    except GoogleAuthError as error:
        raise CannotAskError(f"no credentials: gcloud auth application-default login, or {TOKEN}. {error}") from error

    def token() -> str:
        try:
            if not credentials.valid:
                credentials.refresh(Request())
        except GoogleAuthError as error:
            raise CannotAskError(f"the credentials are refused: {error}") from error
        return str(credentials.token)

    return token
