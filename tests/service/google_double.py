"""Doubles of what cannot exist here: Google's metadata server and token endpoint, and a front that lets in only tokens.

They speak the real protocols. Tokens are signed, and the front checks signature, audience and end as Cloud Run does.
"""

import datetime
import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
METADATA = {"Metadata-Flavor": "Google"}


def private_pem() -> str:
    """The key of the service account's file; the same signs what the doubles give."""
    return KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


class Google:
    """What gives tokens: how long they live, how many it gave, and what is wrong with it."""

    def __init__(self) -> None:
        self.life, self.given, self.broken, self.may_sign = 3600.0, 0, False, True
        self.access: Callable[[], str] = lambda: "an access token"
        self.url = ""

    def token(self, audience: str) -> str:
        """A signed identity token."""
        self.given += 1
        now = time.time()
        claims = {"aud": audience, "iat": now, "exp": now + self.life, "email": "jobs@acme", "jti": str(self.given)}
        return jwt.encode(claims, KEY, "RS256")

    def answer(self, handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        """The metadata server's paths and the token endpoint's."""
        url = urlsplit(handler.path)
        if url.path == "/token":  # https://developers.google.com/identity/protocols/oauth2/service-account
            form = parse_qs(handler.rfile.read(int(handler.headers["Content-Length"])).decode())
            asked = jwt.decode(form["assertion"][0], KEY.public_key(), ["RS256"], options={"verify_aud": False})
            return 200, json.dumps({"id_token": self.token(asked["target_audience"])}).encode()
        if url.path.endswith(":signJwt"):
            return self._sign(handler)
        if handler.headers["Metadata-Flavor"] != "Google":
            return 403, b"Missing Metadata-Flavor:Google header."
        if url.path.endswith(
            "/identity"
        ):  # https://cloud.google.com/compute/docs/instances/verifying-instance-identity
            if self.broken:
                return 404, b"the account was deleted"
            return 200, self.token(parse_qs(url.query)["audience"][0]).encode()
        if url.path.endswith("/token"):  # https://cloud.google.com/compute/docs/access/authenticate-workloads
            self.given += 1
            answer = {"access_token": self.access(), "expires_in": self.life, "token_type": "Bearer"}
            return (404, b"the account was deleted") if self.broken else (200, json.dumps(answer).encode())
        return 200, b'{"email": "jobs@acme.iam.gserviceaccount.com", "aliases": ["default"], "scopes": []}'

    def _sign(self, handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        """https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signJwt"""
        asked = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        if self.may_sign and handler.headers["Authorization"] == f"Bearer {self.access()}":
            signed = jwt.encode(json.loads(asked["payload"]), KEY, "RS256", headers={"kid": "k"})
            return 200, json.dumps({"keyId": "k", "signedJwt": signed}).encode()
        message = "Permission 'iam.serviceAccounts.signJwt' denied on resource (or it may not exist)."
        return 403, json.dumps({"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}}).encode()


class Front:
    """What stands before the server: lets in who bears a good token for it, and counts."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.url = ""
        self.tokens: set[str] = set()
        self.let_in, self.refused = 0, 0

    def answer(self, handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        """The server's answer, or 401."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        bearer = (handler.headers.get("Authorization") or "").removeprefix("Bearer ")
        if handler.path != "/health":
            try:
                claims = jwt.decode(
                    bearer,
                    KEY.public_key(),
                    ["RS256"],
                    audience=self.url,
                    options={"require": ["exp", "iat", "aud"], "verify_exp": False, "verify_iat": False},
                )
                # By this module's clock, which tests replace, and without PyJWT's rounding to seconds.
                if not claims["iat"] <= time.time() <= claims["exp"]:
                    raise jwt.InvalidTokenError("the token is not valid now")
            except jwt.InvalidTokenError as error:
                self.refused += 1
                return 401, str(error).encode()
            self.tokens.add(bearer)
            self.let_in += 1
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        headers = {"Content-Type": handler.headers.get("Content-Type") or "application/json", "Host": self.upstream}
        connection.request(handler.command, handler.path, body, headers)
        answer = connection.getresponse()
        try:
            return answer.status, answer.read()
        finally:
            connection.close()


@contextmanager
def serving(double: Google | Front, certificate: Path | None = None) -> Iterator[None]:
    """Serve on a port of its own, with TLS when there is a file with certificate and key; `url` says where."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            status, body = double.answer(self)
            kind = "application/json" if body[:1] == b"{" else "text/html"
            self.send_response(status)
            for name, value in (flavour | {"Content-Type": kind, "Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815 - the names that http.server calls

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    flavour = METADATA if isinstance(double, Google) else {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    double.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def certificate(file: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key, in one file."""
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return file
