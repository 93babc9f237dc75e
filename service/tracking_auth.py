"""A Google identity for an MLflow server that lets in only callers it knows, and for no other host.

MLflow has two ways to sign requests. A `mlflow.request_header_provider` is not told where a request goes, and when it
fails MLflow warns and sends the request without it. A `mlflow.request_auth_provider` signs one prepared request, whose
address it sees, and its errors come through: it is this way. MLflow finds it by the name in MLFLOW_TRACKING_AUTH.
"""

import os
import shutil
import subprocess
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import google.auth.transport.requests
import requests
from google.auth import jwt
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.oauth2 import id_token
from mlflow.environment_variables import MLFLOW_TRACKING_AUTH, MLFLOW_TRACKING_TOKEN, MLFLOW_TRACKING_USERNAME
from mlflow.tracking.request_auth import registry
from mlflow.tracking.request_auth.abstract_request_auth_provider import RequestAuthProvider

NAME = "google-identity"
EARLY_S = 300.0
"""A token is replaced this long before it ends, or when a quarter of its life is left if that is later."""
LOGIN_S = 30.0


class IdentityError(Exception):
    """There is no identity token for the tracking server; the message names the cause and what to do."""


class Identity:
    """Tokens for one audience: the server's address without a path. Safe for several threads."""

    def __init__(self, audience: str) -> None:
        self.audience = audience
        self._lock = threading.Lock()
        self._token, self._ends, self._replace = "", 0.0, 0.0

    def token(self) -> str:
        """A token that is good for a while. Raises IdentityError."""
        with self._lock:
            now = time.time()
            if now >= self._replace:
                try:
                    self._renew()
                except IdentityError:
                    if now >= self._ends:
                        raise
                    # The one at hand is good for minutes: the next request asks again.
            return self._token

    def _renew(self) -> None:
        token = self._fetch()
        try:
            claims = jwt.decode(token, verify=False)
            ends = float(claims["exp"])
            life = ends - float(claims["iat"])
        except (ValueError, KeyError, TypeError) as error:
            raise IdentityError(f"what was given for {self.audience} is no identity token: {error}") from error
        if ends <= time.time():
            raise IdentityError(f"the identity token for {self.audience} has ended already: check the clock")
        self._token, self._ends, self._replace = token, ends, ends - min(EARLY_S, life / 4)

    def _fetch(self) -> str:
        """From a service account's file, the metadata server, or a person's own login with gcloud, in this order."""
        request = google.auth.transport.requests.Request()
        try:
            credentials = id_token.fetch_id_token_credentials(self.audience, request=request)
            credentials.refresh(request)
            return str(credentials.token)
        except DefaultCredentialsError as error:
            if named := os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
                raise IdentityError(
                    f"no identity token for {self.audience}: GOOGLE_APPLICATION_CREDENTIALS names {named}: {error}"
                ) from error
            return self._of_a_person(error)
        except GoogleAuthError as error:
            raise IdentityError(f"no identity token for {self.audience}: {error}") from error

    def _of_a_person(self, reason: DefaultCredentialsError) -> str:
        # Cloud Run takes a person's token for gcloud itself: its audience cannot be chosen.
        # https://cloud.google.com/run/docs/authenticating/developers
        gcloud = shutil.which("gcloud")
        if not gcloud:
            raise IdentityError(
                f"no identity token for {self.audience}: no service account, no metadata server, no gcloud on PATH "
                f"({reason}); set GOOGLE_APPLICATION_CREDENTIALS, or install gcloud and log in"
            )
        try:
            done = subprocess.run(
                [gcloud, "auth", "print-identity-token"], capture_output=True, text=True, timeout=LOGIN_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise IdentityError(f"no identity token for {self.audience}: gcloud: {error}") from error
        if done.returncode:
            raise IdentityError(
                f"no identity token for {self.audience}: gcloud auth print-identity-token: {done.stderr.strip()}; "
                "gcloud auth login"
            )
        return done.stdout.strip()


_identities: dict[str, Identity] = {}


class Signature(requests.auth.AuthBase):
    """Signs requests to the servers that were named, and leaves all others as they are."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """`requests` calls this once for each request, before it is sent. Raises IdentityError."""
        identity = _identities.get(_origin(str(request.url)))
        if identity:
            request.headers["Authorization"] = f"Bearer {identity.token()}"
        return request


class GoogleIdentity(RequestAuthProvider):  # type: ignore[misc]  # MLflow has no types
    """What MLflow's registry asks for."""

    def get_name(self) -> str:
        """The value of MLFLOW_TRACKING_AUTH that chooses it."""
        return NAME

    def get_auth(self) -> Any:
        """What signs."""
        return Signature()


def identify_to(uri: str) -> None:
    """From now on sign requests to this server, if it is reached over https and no other login is set.

    A token on plain http could be read on its way.
    """
    origin = _origin(uri)
    other = MLFLOW_TRACKING_AUTH.get() not in (None, NAME)
    if origin.startswith("https://") and not (other or MLFLOW_TRACKING_TOKEN.get() or MLFLOW_TRACKING_USERNAME.get()):
        if NAME not in {provider.get_name() for provider in registry._request_auth_provider_registry}:
            # What the entry point would do, for which a package must be installed.
            registry._request_auth_provider_registry.register(GoogleIdentity)
        MLFLOW_TRACKING_AUTH.set(NAME)
        _identities.setdefault(origin, Identity(origin))


def _origin(url: str) -> str:
    """Scheme, host and port as a browser compares them."""
    parts = urlsplit(url)
    port = {"https": 443, "http": 80}.get(parts.scheme)
    name = (parts.hostname or "").lower()
    return f"{parts.scheme}://{name}" + ("" if parts.port in (None, port) else f":{parts.port}")
