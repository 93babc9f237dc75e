"""Stands in for Google's identity-aware proxy: signs assertions with keys made on the spot and serves the public ones.

It speaks the real formats (JWT, JWK set over HTTP); what it cannot show is Google's own choice of claims.
"""

import http.server
import json
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from service.api.identity import ISSUER

AUDIENCE = "/projects/123/global/backendServices/456"


class Issuer:
    """Has one key, `key-0`, to begin with. `down` makes the keys unavailable, `slow_s` late.

    `fault` says how an answer fails to end: `silent` accepts and never answers, `head` and `body` send a byte every
    few milliseconds for ever. `held` counts the callers that are held like that now.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self.keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.published: list[str] = []
        self.down, self.slow_s, self.fetched = False, 0.0, 0
        self.fault: Literal["silent", "head", "body"] | None = None
        self.answer: bytes | None = None
        self.held = 0
        self._closed = threading.Event()
        self.rotate("key-0")
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetched += 1
                time.sleep(issuer.slow_s)
                if issuer.fault:
                    issuer._hold(self.wfile.write, issuer.fault)
                    return
                self.send_response(500 if issuer.down else 200)
                self.end_headers()
                self.wfile.write(b"" if issuer.down else issuer.answer or issuer.jwks())

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self._server.server_port}/keys"

    def _hold(self, write: Callable[[bytes], object], fault: str) -> None:
        self.held += 1
        drip = {"silent": b"", "head": b"x", "body": b" "}[fault]
        with suppress(OSError):  # until the caller goes
            write({"silent": b"", "head": b"HTTP/1.0 200 OK\r\nX-Drip: ", "body": b"HTTP/1.0 200 OK\r\n\r\n"}[fault])
            while self.fault and not self._closed.wait(0.02):
                write(drip)
        self.held -= 1

    def rotate(self, kid: str, keep: bool = True) -> None:
        """Make and publish another key; without `keep` the others are withdrawn."""
        self.keys[kid] = ec.generate_private_key(ec.SECP256R1())
        self.published = [*(self.published if keep else []), kid]

    def jwks(self) -> bytes:
        """The public keys as a JWK set."""
        public = [
            ECAlgorithm.to_jwk(self.keys[k].public_key(), as_dict=True) | {"kid": k, "alg": "ES256", "use": "sig"}
            for k in self.published
        ]
        return json.dumps({"keys": public}).encode()

    def sign(self, kid: str = "key-0", algorithm: str = "ES256", key: Any = None, **claims: object) -> str:
        """A valid assertion, but for what is given; a claim of None is left out."""
        now = int(time.time())
        default = {"iss": ISSUER, "aud": AUDIENCE, "sub": "accounts.google.com:1", "iat": now, "exp": now + 600}
        stated = {name: value for name, value in {**default, **claims}.items() if value is not None}
        signing = key if key is not None else self.keys[kid]
        return jwt.encode(stated, signing, algorithm, headers={"kid": kid})

    def close(self) -> None:
        """Stop serving keys."""
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
