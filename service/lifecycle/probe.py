"""Scores a trial lead through the front door, as a caller would, and publishes whether a score came.

Where callers are few, their requests do not show for hours that nobody gets a score. This job,
`python -m service.lifecycle.probe`, asks every few minutes, with an identity of its own, along the callers' whole way:
name, certificate, load balancer, Cloud Armor, identity-aware proxy, pod, model, spool. Its lead is a trial
(`service.records.TRIALS`), which evaluation, drift, contacts and reports leave out.
"""

import argparse
import http.client
import json
import os
import ssl
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from service.lifecycle.runtime.gauges import Gauge, PublishFailed
from service.lifecycle.runtime.job_gauges import send
from service.records import PROBE

LEAD = f"{PROBE}front-door"
ANSWER_S = 10.0
"""Seconds for the whole answer, from the name look-up to the last byte."""
ANSWER_MAX = 100_000
"""Bytes that are read of an answer."""
TOKEN_S = 600
SIGN = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{account}:signJwt"
"""https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signJwt"""
CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"

EXAMPLES = """examples:
  python -m service.lifecycle.probe --door http://127.0.0.1:8000
  ... --door https://leads.acme.example --account acme-leads-prod-probe@acme-leads-prod.iam.gserviceaccount.com

exit status: 0 a score came, or where --metrics is given its failure was published; 1 no score came, no token could be
signed, or nothing could be published; 2 wrong use
"""

Failure = Literal["unreachable", "tls", "timeout", "refused", "status", "answer"]


class NoScore(Exception):
    """The front door gave no score. `failure` says how."""

    def __init__(self, failure: Failure, why: str) -> None:
        super().__init__(f"{failure}: {why}")
        self.failure: Failure = failure


class NoToken(Exception):
    """The probe cannot sign in: nothing is known of the front door."""


class Score(msgspec.Struct):
    """What must be said of the lead."""

    lead_id: Literal["probe-front-door"]
    score: Annotated[float, msgspec.Meta(ge=0, le=1)]
    decision: Literal["contact", "skip"]
    band: Annotated[str, msgspec.Meta(min_length=1)]
    model_version: Annotated[str, msgspec.Meta(min_length=1)]


class ProbeAnswer(msgspec.Struct):
    """What a good answer holds: one score."""

    scores: tuple[Score]


def sign_in(account: str, door: str) -> str:
    """A JWT of the service account for every path behind the door, as callers sign them. Raises NoToken.

    https://docs.cloud.google.com/iap/docs/authentication-howto#create_the_jwt
    """
    # Imported here: it takes half a second that a probe without an account need not wait for.
    import google.auth
    import requests
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import AuthorizedSession

    now = int(time.time())
    claims = {"iss": account, "sub": account, "aud": f"{door}/*", "iat": now, "exp": now + TOKEN_S}
    try:
        credentials, _ = google.auth.default(scopes=[CLOUD_PLATFORM])
        with AuthorizedSession(credentials) as session:
            answer = session.post(SIGN.format(account=account), json={"payload": json.dumps(claims)}, timeout=ANSWER_S)
        if answer.status_code != 200:
            raise NoToken(f"no token for {account}: {answer.status_code} {answer.text.strip()[:300]}")
        return str(answer.json()["signedJwt"])
    except (GoogleAuthError, requests.RequestException, KeyError) as error:
        raise NoToken(f"no token for {account}: {type(error).__name__}: {error}") from error


def ask(door: str, token: str | None) -> Score:
    """The score of the trial lead. Raises NoScore."""
    try:
        status, body = _within(ANSWER_S, lambda: _post(door, token))
    except ssl.SSLError as error:
        raise NoScore("tls", str(error)) from error
    except TimeoutError as error:
        raise NoScore("timeout", f"no answer within {ANSWER_S:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise NoScore("unreachable", f"{type(error).__name__}: {error}") from error
    if status in (401, 403):
        raise NoScore("refused", f"{status} {_shown(body)}")
    if status != 200:  # a redirect is one: the proxy sends whom it does not know to a page where people sign in
        raise NoScore("status", f"{status} {_shown(body)}")
    try:
        return msgspec.json.decode(body, type=ProbeAnswer).scores[0]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NoScore("answer", f"{error}: {_shown(body)}") from error


def _post(door: str, token: str | None) -> tuple[int, bytes]:
    parts = urlsplit(door)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=ANSWER_S)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        connection.request("POST", "/v1/score", json.dumps({"leads": [{"lead_id": LEAD, "features": {}}]}), headers)
        with connection.getresponse() as answer:
            return answer.status, answer.read(ANSWER_MAX)
    finally:
        connection.close()


def _within(seconds: float, work: Callable[[], tuple[int, bytes]]) -> tuple[int, bytes]:
    """What the work returns. Raises TimeoutError after so long, and what the work raises.

    In a thread of its own: a socket's time-out counts anew for each address and each read, and a name look-up has none.
    """
    done: Future[tuple[int, bytes]] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as error:
            done.set_exception(error)

    threading.Thread(target=run, name="probe", daemon=True).start()
    return done.result(seconds)


def _shown(body: bytes) -> str:
    return " ".join(body[:300].decode(errors="replace").split())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m service.lifecycle.probe",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--door", required=True, type=_door, metavar="URL", help="where callers send to, without a path"
    )
    parser.add_argument("--account", metavar="EMAIL", help="the service account to sign in as (default: do not)")
    parser.add_argument(
        "--metrics",
        metavar="TARGET",
        default=os.environ.get("LEADSCORING_METRICS"),
        help="where the result goes: a local folder, or projects/ID for Cloud Monitoring "
        "(default: $LEADSCORING_METRICS)",
    )
    options = parser.parse_args(arguments)
    try:
        token = sign_in(options.account, options.door) if options.account else None
    except NoToken as error:
        print(error, file=sys.stderr)
        return 1
    began, failed = time.monotonic(), None
    try:
        score = ask(options.door, token)
    except NoScore as error:
        failed = error
    seconds = time.monotonic() - began
    if failed:
        print(f"{options.door} gave no score: {failed}", file=sys.stderr)
    else:
        print(f"{options.door} gave {score.score:g} after {seconds:.3f} s, by the model {score.model_version}")
    if not options.metrics:
        return 1 if failed else 0
    try:
        send(options.metrics, "probe", result(not failed, seconds))
    except PublishFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def result(good: bool, seconds: float) -> list[Gauge]:
    """What one probe publishes."""
    return [Gauge("leadscoring_probe_success", float(good)), Gauge("leadscoring_probe_duration_seconds", seconds)]


def _door(text: str) -> str:
    parts = urlsplit(text)
    local = (parts.scheme, parts.hostname) == ("http", "127.0.0.1")
    if not parts.hostname or not (parts.scheme == "https" or local) or parts.path or parts.query:
        raise argparse.ArgumentTypeError(f"{text} is no https://HOST, nor http://127.0.0.1:PORT")
    return text


if __name__ == "__main__":
    sys.exit(main())
