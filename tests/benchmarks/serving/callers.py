"""A hundred callers whom an identity-aware proxy vouches for, with a key made for the occasion."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

AUDIENCE = "/projects/1/global/backendServices/2"
HOURS = 12


class Callers(NamedTuple):
    """Their signed assertions, and where the public key is."""

    assertions: list[str]
    keys_url: str

    def headers(self) -> dict[str, str]:
        """What the first of them sends with a request's JSON."""
        return {"Content-Type": "application/json", "x-goog-iap-jwt-assertion": self.assertions[0]}


@contextmanager
def callers(count: int = 100) -> Iterator[Callers]:
    """Sign their assertions and serve the key, in the real forms: ES256 and a JWK set over HTTP."""
    key, now = ec.generate_private_key(ec.SECP256R1()), int(time.time())
    claims = {"iss": "https://cloud.google.com/iap", "aud": AUDIENCE, "iat": now, "exp": now + HOURS * 3600}
    signed = [
        jwt.encode({**claims, "sub": f"accounts.google.com:{i}"}, key, "ES256", headers={"kid": "bench"})
        for i in range(count)
    ]
    public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "bench", "alg": "ES256", "use": "sig"}
    document = json.dumps({"keys": [public]}).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Callers(signed, f"http://127.0.0.1:{server.server_port}/keys")
        server.shutdown()
        thread.join()
