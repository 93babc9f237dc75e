"""Stands in for Google's identity-aware proxy: signs assertions with keys made on the spot and serves the public ones.

It speaks the real formats (JWT, JWK set over HTTP); what it cannot show is Google's own choice of claims.
"""

import http.server
import json
import threading
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from service.api.identity import ISSUER

AUDIENCE = "/projects/123/global/backendServices/456"


class Issuer:
    """Has one key, `key-0`, to begin with. `down` makes the keys unavailable, `slow_s` late."""

    def __init__(self) -> None:
        self.keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.published: list[str] = []
        self.down, self.slow_s, self.fetched = False, 0.0, 0
        self.rotate("key-0")
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetched += 1
                time.sleep(issuer.slow_s)
                self.send_response(500 if issuer.down else 200)
                self.end_headers()
                self.wfile.write(b"" if issuer.down else issuer.jwks())

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/keys"

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
        self._server.shutdown()
        self._server.server_close()
