"""Stands in for the load balancer and the identity-aware proxy before a running service.

A caller signs in with a JWT that its service account signed, for every path behind the door:
https://docs.cloud.google.com/iap/docs/authentication-howto#create_the_jwt. Whom the proxy does not know it answers 401,
who lacks the role 403 (https://cloud.google.com/iap/docs/faq). What it forwards carries its own assertion.
"""

import http.client
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import jwt

from service.api.authenticate import HEADER
from tests.service.api.issuer import Issuer
from tests.service.google_double import KEY, Front

LONGEST_S = 3600


class FrontDoor(Front):
    """Lets in `members`. `instead` answers in its place, where set."""

    def __init__(self, service_port: int, issuer: Issuer, *members: str) -> None:
        super().__init__(f"http://127.0.0.1:{service_port}")
        self.members, self._issuer = set(members), issuer
        self.instead: Callable[[BaseHTTPRequestHandler], tuple[int, bytes]] | None = None
        self.path = "/*"

    def answer(self, handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        """The service's answer, or the proxy's."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if self.instead:
            return self.instead(handler)
        try:
            caller = self._caller((handler.headers.get("Authorization") or "").removeprefix("Bearer "))
        except jwt.InvalidTokenError as error:
            return 401, f"Invalid IAP credentials: {error}".encode()
        if caller not in self.members:
            return 403, b"You don't have access"
        service = http.client.HTTPConnection(self.upstream, timeout=30)
        headers = {"Content-Type": handler.headers["Content-Type"], HEADER: self._issuer.sign(sub=caller)}
        try:
            service.request(handler.command, handler.path, body, headers)
            answer = service.getresponse()
            return answer.status, answer.read()
        finally:
            service.close()

    def _caller(self, token: str) -> str:
        claims = jwt.decode(
            token,
            KEY.public_key(),
            ["RS256"],
            audience=f"{self.url}{self.path}",
            options={"require": ["iss", "sub", "aud", "iat", "exp"]},
        )
        if claims["iss"] != claims["sub"] or not 0 < claims["exp"] - claims["iat"] <= LONGEST_S:
            raise jwt.InvalidTokenError("iss is not sub, or exp is too late")
        if claims["exp"] < time.time():
            raise jwt.ExpiredSignatureError("expired")
        return str(claims["iss"])
