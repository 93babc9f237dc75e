"""A machine to deploy from and a cloud to deploy to: doubles of programs on a PATH, a door that checks its guests."""

import json
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

PROGRAMS = ("docker", "gcloud", "gke-gcloud-auth-plugin", "git", "kubectl")
COMMIT = "c0ffee" * 6 + "c0ff"


class Cloud:
    """What the doubles answer from; change `state` before a deploy, read `asked` after it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        double = Path(__file__).with_name("cloud.py")
        for name in PROGRAMS:
            program = self.bin / name
            program.write_text(f"#!{sys.executable} -ES\n{double.read_text()}")
            program.chmod(0o755)
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        (folder / "key.pem").write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.write(
            commit=COMMIT,
            changed="",
            repository=True,
            api_off=False,  # Artifact Registry's
            built=[],
            registry={},
            scan="FINISHED_SUCCESS",
            scans=0,
            scans_pending=0,
            critical=[],
            backups=0,
            migrations=0,
            model=True,
            valueless=[],  # secrets without a value
            zones=["europe-west1-b", "europe-west1-c"],
            zones_after=1,
            asked_for_zones=0,
            failing=[],
        )

    def write(self, **state: Any) -> None:
        """Change what the cloud is like."""
        (self.folder / "cloud.json").write_text(json.dumps(self.state | state))

    @property
    def state(self) -> dict[str, Any]:
        """What the cloud is like now."""
        file = self.folder / "cloud.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def fail(self, what: str, says: str, times: int = 1, **more: Any) -> None:
        """Let the next calls whose command line holds `what` fail."""
        self.write(failing=[{"what": what, "says": says, "times": times, **more}])

    @property
    def asked(self) -> list[list[str]]:
        """Every call so far: the program's name and its arguments."""
        file = self.folder / "asked.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def calls(self, what: str) -> int:
        """How many calls hold `what`."""
        return sum(what in " ".join(each) for each in self.asked)

    def forget(self) -> None:
        """Start counting anew."""
        (self.folder / "asked.jsonl").unlink(missing_ok=True)

    def environ(self) -> dict[str, str]:
        """What makes a program find the doubles, and them this folder."""
        return {"PATH": f"{self.bin}:/usr/bin:/bin", "CLOUD": str(self.folder)}


class Door:
    """An HTTPS load balancer with an identity-aware proxy: who has no good token is sent to a login.

    https://docs.cloud.google.com/iap/docs/authentication-howto#create_the_jwt says what makes a token good.
    """

    def __init__(self, account: str, key: Any, upstream: httpx.Client | None) -> None:
        self.account, self.key, self.upstream = account, key, upstream
        self.url = ""
        self.answers: dict[str, tuple[int, Any]] = {}  # by path, instead of what the service would say
        self.closed = True
        self.scored: list[str] = []

    def guest(self, header: str | None) -> bool:
        """Whether a token is of the account that is let in, for this door, and good now."""
        try:
            claims = jwt.decode(
                (header or "").removeprefix("Bearer "),
                self.key.public_key(),
                ["RS256"],
                audience=f"{self.url}/*",
                issuer=self.account,
                options={"require": ["iss", "sub", "aud", "iat", "exp"]},
            )
        except jwt.InvalidTokenError:
            return False
        return bool(claims["sub"] == self.account and claims["exp"] - claims["iat"] <= 3600)

    def answer(self, method: str, path: str, identity: str | None, body: bytes) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        if path != "/readyz" and self.closed and not self.guest(identity):
            return 302, None
        if path in self.answers:
            return self.answers[path]
        if self.upstream:
            said = self.upstream.request(method, path, content=body, headers={"Content-Type": "application/json"})
            return said.status_code, said.json()
        if path == "/v1/score":
            leads = [lead["lead_id"] for lead in json.loads(body)["leads"]]
            self.scored += leads
            return 200, {"request_id": "1", "scores": [{"lead_id": lead, "score": 0.5} for lead in leads]}
        return 200, {"version": "1"}


@contextmanager
def door(folder: Path, account: str, key: Any, upstream: httpx.Client | None = None) -> Iterator[Door]:
    """The door on a port of its own; `folder`/door.pem holds the certificate to trust."""
    made = Door(account, key, upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, said = made.answer(self.command, self.path, self.headers.get("Authorization"), body)
            text = json.dumps(said).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "https://accounts.google.com/o/oauth2/v2/auth")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = _serve  # noqa: N815 - the names that http.server looks for

        def log_message(self, format: str, *args: Any) -> None: ...

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None: ...

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder))
    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        made.url = f"https://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield made
        finally:
            server.shutdown()


def _certificate(folder: Path) -> Path:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "door")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int(time.time()))
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "door.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file
