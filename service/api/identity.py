"""Who calls: the assertion that Google's identity-aware proxy (IAP) signs and puts into every request's header.

Header, algorithm, issuer, keys and the 30 s of skew: https://cloud.google.com/iap/docs/signed-headers-howto
The audience holds the id of the load balancer's backend, which the cloud makes up: it comes from a mounted file that
is written once the load balancer stands.
"""

import json
import logging
import re
import time
import urllib.request
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import jwt

logger = logging.getLogger(__name__)

ISSUER, ALGORITHM, SKEW_S = "https://cloud.google.com/iap", "ES256", 30
AUDIENCE = re.compile(r"/projects/\d+/global/backendServices/\d+")
KEYS_MAX_AGE_S, KEYS_MIN_AGE_S = 3600.0, 10.0
"""Keys are fetched again when this old; and at an unknown key id, but never more often than the second says."""
FILE_AGE_S = 1.0
VERIFIED_MAX = 10_000
"""Assertions that are remembered as verified until they expire."""
ASSERTION_MAX = 8_192
"""Characters; a longer header is refused before anything is computed."""


class Refused(Exception):
    """The caller is not let in. `reason` is one of a few words, for the metric."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotConfigured(Exception):
    """Nobody can be let in yet: the audience, or the keys, are not known."""


class UnknownKey(Exception):
    """Signed by a key that was not there at the last fetch: fetch again, or wait for who does, then verify again."""


class Audience:
    """The audience as the mounted file says, read again when a second old."""

    def __init__(self, file: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._file, self._now = file, now
        self._read_at, self._value = float("-inf"), ""

    def get(self) -> str:
        """Raises NotConfigured while there is no file, or no audience in it."""
        now = self._now()
        if now - self._read_at >= FILE_AGE_S:
            self._read_at = now
            try:
                self._value = self.read()
            except ValueError as error:
                logger.error("authentication not configured", extra={"error": str(error)})
                self._value = ""
        if not self._value:
            raise NotConfigured("authentication not configured")
        return self._value

    def read(self) -> str:
        """What the file says now, "" where there is none. Raises ValueError where it holds no audience."""
        try:
            text = self._file.read_text(errors="replace").strip()
        except OSError:
            return ""
        if not AUDIENCE.fullmatch(text):
            raise ValueError(f"{self._file} holds no audience such as /projects/1/global/backendServices/2")
        return text


class Verifier:
    """Verifies assertions. `refresh` waits for the network; everything else is quick."""

    def __init__(
        self,
        audience: Audience,
        keys_url: str,
        now: Callable[[], float] = time.time,
        age: Callable[[], float] = time.monotonic,
    ) -> None:
        self._audience, self._keys_url, self._now, self._age = audience, keys_url, now, age
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = False
        self._verified: OrderedDict[tuple[str, str], float] = OrderedDict()

    def verify(self, assertion: str) -> None:
        """Return if the caller is let in. Raises Refused, NotConfigured, or UnknownKey when keys must be fetched."""
        audience, now = self._audience.get(), self._now()
        if not assertion:
            raise Refused("missing")
        if len(assertion) > ASSERTION_MAX:
            raise Refused("malformed")
        if self._age() - self._fetched_at > KEYS_MAX_AGE_S and self._may_fetch():
            raise UnknownKey
        known = self._verified.get((assertion, audience))
        if known is not None and known > now:
            return
        expires = self._check(assertion, audience)
        self._verified[assertion, audience] = expires
        if len(self._verified) > VERIFIED_MAX:
            self._verified.popitem(last=False)

    def _check(self, assertion: str, audience: str) -> float:
        """Raises as `verify` does; returns when the assertion expires, in seconds since 1970."""
        try:
            header = jwt.get_unverified_header(assertion)
        except jwt.InvalidTokenError:
            raise Refused("malformed") from None
        if header.get("alg") != ALGORITHM:
            raise Refused("algorithm")
        key = self._keys.get(str(header.get("kid")))
        if key is None:
            if self._fetching or self._may_fetch():
                raise UnknownKey
            if not self._keys:
                raise NotConfigured("the keys that callers are verified by cannot be fetched")
            raise Refused("unknown_key")
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
            raise Refused("expired") from None
        except jwt.InvalidAudienceError:
            raise Refused("audience") from None
        except jwt.InvalidIssuerError:
            raise Refused("issuer") from None
        except jwt.InvalidSignatureError:
            raise Refused("signature") from None
        except jwt.InvalidTokenError:
            raise Refused("claims") from None
        return float(claims["exp"]) + SKEW_S

    def _may_fetch(self) -> bool:
        return self._age() - self._tried_at > KEYS_MIN_AGE_S

    def refresh(self) -> None:
        """Fetch the keys. Where that fails the old ones stay."""
        self._fetching, self._tried_at = True, self._age()
        try:
            self._fetch()
        finally:
            self._fetching = False

    def _fetch(self) -> None:
        try:
            with urllib.request.urlopen(self._keys_url, timeout=5) as answer:  # noqa: S310 - the settings check it
                document = json.loads(answer.read(1_000_000))
            keys = {str(key.key_id): key for key in jwt.PyJWKSet.from_dict(document).keys if key.key_id}
        except (OSError, ValueError, AttributeError, TypeError, jwt.PyJWTError) as error:
            logger.warning("the keys could not be fetched, the old ones stay", extra={"error": str(error)})
            return
        if keys.keys() != self._keys.keys():
            self._verified.clear()  # what a withdrawn key has signed is not let in any longer
        self._keys, self._fetched_at = keys, self._tried_at
