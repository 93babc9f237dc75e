"""Authentication: verifies the assertion that Google's identity-aware proxy (IAP) puts into every request's header.

Header, algorithm, issuer, keys and the 30 s of skew: https://cloud.google.com/iap/docs/signed-headers-howto
The audience holds the id of the load balancer's backend, which Google chooses: it comes from a mounted file that is
written once the load balancer exists.
"""

import contextlib
import http.client
import json
import logging
import re
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

import jwt

logger = logging.getLogger(__name__)

ISSUER, ALGORITHM, SKEW_S = "https://cloud.google.com/iap", "ES256", 30
AUDIENCE = re.compile(r"/projects/\d+/global/backendServices/\d+")
REFRESH_S = 3600.0
"""Seconds between refreshes of the keys, which bounds how long a withdrawn key is accepted while they succeed. Google
rotates the keys at an interval that it does not publish; its answer may be cached for 3,000 s (Cache-Control)."""
RETRY_S, RETRY_MAX_S = 10.0, 60.0
"""Least seconds between two fetches; doubled with each failure, up to the second value."""
KEYS_MAX_AGE_S = 86_400.0
"""Older keys are not trusted. An outage of the key endpoint shorter than a day refuses nobody, and a key that Google
withdraws in the meantime is accepted for a day at most."""
FETCH_S = 5.0
"""Deadline of a whole fetch in seconds, from the name look-up to the last byte."""
WAIT_S = 2.0
"""Seconds that a request waits for the key that signed its assertion."""
DOCUMENT_MAX = 1_000_000
"""Bytes that are read of the key document."""
FILE_AGE_S = 1.0
VERIFIED_MAX = 10_000
"""Assertions that are remembered as verified until they expire."""
ASSERTION_MAX = 8_192
"""Characters; a longer header is refused before anything is computed."""


IdentityRefusal = Literal[
    "missing", "malformed", "algorithm", "unknown_key", "signature", "audience", "issuer", "expired", "claims"
]


class IdentityRefused(Exception):
    """The caller is not let in. `reason` is for the metric."""

    def __init__(self, reason: IdentityRefusal) -> None:
        super().__init__(reason)
        self.reason: IdentityRefusal = reason


class Unavailable(Exception):
    """Callers cannot be verified now: the audience or the keys are not known."""


class UnknownKey(Unavailable):
    """The key that signed the assertion may be in the fetch that ends with `fetch`: wait for it, then verify again."""

    def __init__(self, fetch: Future[None]) -> None:
        super().__init__("the keys that verify callers are being fetched; try again")
        self.fetch = fetch


class Audience:
    """The audience in the mounted file, which is read again after a second."""

    def __init__(self, file: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._file, self._now = file, now
        self._read_at, self._value = float("-inf"), ""

    def get(self) -> str:
        """Raises Unavailable while there is no file, or no audience in it."""
        now = self._now()
        if now - self._read_at >= FILE_AGE_S:
            self._read_at = now
            try:
                self._value = self.read()
            except ValueError as error:
                logger.error("authentication not configured", extra={"error": str(error)})
                self._value = ""
        if not self._value:
            raise Unavailable("authentication not configured")
        return self._value

    def read(self) -> str:
        """The audience in the file now, "" if there is no file. Raises ValueError if the file holds no audience."""
        try:
            text = self._file.read_text(errors="replace").strip()
        except OSError:
            return ""
        if not AUDIENCE.fullmatch(text):
            raise ValueError(f"{self._file} holds no audience such as /projects/1/global/backendServices/2")
        return text


class KeySet(NamedTuple):
    """Public keys by id, when they were fetched, and the assertions that they verified, each with its expiry."""

    keys: dict[str, jwt.PyJWK]
    fetched_at: float
    verified: OrderedDict[tuple[str, str], float]


class Keys:
    """The proxy's public keys. One background thread fetches them; requests use the set that is there.

    The thread is a daemon, so a slow key endpoint delays neither a request whose key is known nor a stop.
    """

    def __init__(self, url: str, age: Callable[[], float] = time.monotonic) -> None:
        self._url, self._age = url, age
        self._current = KeySet({}, float("-inf"), OrderedDict())
        self._guard = threading.Lock()  # of the four below
        self._next = _uncancellable()  # the result of the fetch under way, or else of the next one
        self._fetching, self._not_before, self._failures = False, float("-inf"), 0
        self._wake, self._stopped = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="keys", daemon=True)

    def start(self) -> None:
        """Fetch the keys now, and then every REFRESH_S."""
        self._thread.start()

    def stop(self) -> None:
        """Fetch no more. A fetch under way is not waited for."""
        self._stopped = True
        self._wake.set()

    def trusted(self) -> KeySet:
        """The keys that may verify assertions: none when the last successful fetch is older than KEYS_MAX_AGE_S."""
        current = self._current
        if self._age() - current.fetched_at > KEYS_MAX_AGE_S:
            return KeySet({}, current.fetched_at, OrderedDict())
        return current

    def missing(self, seen: KeySet) -> Exception:
        """The error for a key id that the keys `seen` lack. Starts a fetch, unless the last one was too recent."""
        with self._guard:
            if self._current.fetched_at == seen.fetched_at and not self._fetching and self._age() < self._not_before:
                if self._failures:
                    return Unavailable("the keys that verify callers cannot be fetched; try again")
                return IdentityRefused("unknown_key")
            if not self._fetching:
                self._wake.set()
            return UnknownKey(self._next)

    def _run(self) -> None:
        while not self._stopped:
            with self._guard:
                self._fetching = True
                self._wake.clear()
            keys = self._fetch()
            with self._guard:
                now = self._age()
                if keys:
                    same = keys.keys() == self._current.keys.keys()  # a withdrawn key's assertions are forgotten
                    self._current = KeySet(keys, now, self._current.verified if same else OrderedDict())
                self._failures = 0 if keys else self._failures + 1
                pause = min(RETRY_S * 2 ** max(0, self._failures - 1), RETRY_MAX_S)
                self._fetching, self._not_before = False, now + pause
                ended, self._next = self._next, _uncancellable()
            ended.set_result(None)
            self._wake.wait(REFRESH_S if keys else pause)

    def _fetch(self) -> dict[str, jwt.PyJWK]:
        try:
            document = json.loads(_download(self._url))
            keys = {str(key.key_id): key for key in jwt.PyJWKSet.from_dict(document).keys if key.key_id}
            if not keys:
                raise ValueError("no key has an id")
        except Exception as error:  # none may end the thread
            logger.warning("the keys could not be fetched, the old ones stay", extra={"error": repr(error)})
            return {}
        return keys


def _uncancellable() -> Future[None]:
    """A result that many wait for: none of them can cancel it for the others."""
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()
    return future


def _download(url: str) -> bytes:
    """GET the document. Raises TimeoutError after FETCH_S, OSError, http.client.HTTPException.

    In a thread of its own: a socket's time-out counts anew for each address and each read, and a name look-up has none.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=FETCH_S)
    sockets: list[socket.socket] = []
    document: Future[bytes] = Future()

    def get() -> None:
        try:
            connection.connect()
            sockets.append(connection.sock)
            connection.request("GET", parts.path or "/")
            with connection.getresponse() as answer:
                if answer.status != 200:
                    raise OSError(f"{url} answered {answer.status}")
                document.set_result(answer.read(DOCUMENT_MAX))
        except Exception as error:
            document.set_exception(error)
        finally:
            connection.close()

    threading.Thread(target=get, name="keys-download", daemon=True).start()
    try:
        return document.result(FETCH_S)
    finally:
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # a thread that still reads ends


class Verifier:
    """Verifies assertions without waiting for anything."""

    def __init__(self, audience: Audience, keys: Keys, now: Callable[[], float] = time.time) -> None:
        self._audience, self._keys, self._now = audience, keys, now

    def verify(self, assertion: str) -> None:
        """Return if the caller is let in. Raises IdentityRefused, Unavailable, or UnknownKey (waiting may help)."""
        audience, now = self._audience.get(), self._now()
        if not assertion:
            raise IdentityRefused("missing")
        if len(assertion) > ASSERTION_MAX:
            raise IdentityRefused("malformed")
        trusted = self._keys.trusted()
        known = trusted.verified.get((assertion, audience))
        if known is not None and known > now:
            return
        expires = self._check(assertion, audience, trusted)
        trusted.verified[assertion, audience] = expires
        if len(trusted.verified) > VERIFIED_MAX:
            trusted.verified.popitem(last=False)

    def _check(self, assertion: str, audience: str, trusted: KeySet) -> float:
        """Raises as `verify` does; returns when the assertion expires, in seconds since 1970."""
        try:
            header = jwt.get_unverified_header(assertion)
        except jwt.InvalidTokenError:
            raise IdentityRefused("malformed") from None
        if header.get("alg") != ALGORITHM:
            raise IdentityRefused("algorithm")
        key = trusted.keys.get(str(header.get("kid")))
        if key is None:
            raise self._keys.missing(trusted)
        try:
            claims = jwt.decode(
                assertion,
                key,
                algorithms=[ALGORITHM],
                audience=audience,
                issuer=ISSUER,
                leeway=SKEW_S,
                options={"require": ["exp", "iat", "aud", "iss", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise IdentityRefused("expired") from None
        except jwt.InvalidAudienceError:
            raise IdentityRefused("audience") from None
        except jwt.InvalidIssuerError:
            raise IdentityRefused("issuer") from None
        except jwt.InvalidSignatureError:
            raise IdentityRefused("signature") from None
        except jwt.InvalidTokenError:
            raise IdentityRefused("claims") from None
        return float(claims["exp"]) + SKEW_S
