"""A private PostgreSQL whose users must log in over TLS, as on Cloud SQL; its files go with it."""

import contextlib
import datetime
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from psycopg import sql

from tests.conftest import HANG_S, free_port

SERVER, OWNER = "acme-dev-mlflow@acme-dev.iam", "migrator"
RULES = """\
local   all all           peer map=all
hostssl all all 127.0.0.1/32 scram-sha-256
"""


class Unavailable(Exception):
    """PostgreSQL cannot run here; the message says why and what to do."""


@dataclass(frozen=True)
class Cluster:
    """A running PostgreSQL: its programs, socket folder, port, and the certificate of its authority."""

    programs: Path
    folder: Path
    port: int

    @property
    def authority(self) -> Path:
        """The file with the certificate that signs the server's, which is that one itself."""
        return self.folder / "server.crt"

    def admin(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """A superuser's connection; each statement takes effect at once."""
        return psycopg.connect(host=str(self.folder), port=self.port, user="postgres", dbname=database, autocommit=True)

    def run(self, program: str, *arguments: str | Path, password: str | None = None, user: str = "postgres") -> str:
        """What a program of PostgreSQL prints, as this superuser or, with a password, over TLS."""
        where = ("--host", "127.0.0.1" if password else str(self.folder), "--port", str(self.port), "--username", user)
        environment = {"PATH": os.environ["PATH"], "PGSSLMODE": "require"} | (
            {"PGPASSWORD": password} if password else {}
        )
        done = subprocess.run(
            [self.programs / program, *where, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=HANG_S,
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"
        return done.stdout

    def create(self, name: str, password: str, template: str = "template1") -> None:
        """A database with users as in Cloud SQL: the migrator is of the role that owns it, the server of none.

        It starts as a copy of `template`, to which nobody may be connected.
        """
        with self.admin() as admin:
            known = {row[0] for row in admin.execute("SELECT rolname FROM pg_roles")}
            for role, statement in {
                "cloudsqlsuperuser": "CREATE ROLE cloudsqlsuperuser NOLOGIN CREATEDB CREATEROLE",
                OWNER: f"CREATE ROLE {OWNER} LOGIN IN ROLE cloudsqlsuperuser",
                SERVER: f'CREATE ROLE "{SERVER}" LOGIN',
            }.items():
                if role not in known:
                    admin.execute(statement)
                if role in (OWNER, SERVER):
                    self.set_password(role, password)
            made = sql.SQL("CREATE DATABASE {} OWNER cloudsqlsuperuser TEMPLATE {}")
            admin.execute(made.format(sql.Identifier(name), sql.Identifier(template)))

    def set_password(self, user: str, password: str) -> None:
        """From now on the only one that lets this user in."""
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), sql.Literal(password))
        with self.admin() as admin:
            admin.execute(statement)


@contextlib.contextmanager
def running_cluster(*options: str) -> Iterator[Cluster]:
    """Start a PostgreSQL of our own with these `-c` options. Raises Unavailable."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise Unavailable("no PostgreSQL on this machine: scripts/install-system installs it (root on Debian)")
    programs = found[-1].parent
    library = Path("/usr/lib/postgresql", programs.parts[-2], "lib/pgaudit.so")
    if "shared_preload_libraries=pgaudit" in options and not library.exists():
        raise Unavailable(f"no {library} on this machine: scripts/install-system installs it (root on Debian)")
    # PostgreSQL refuses to run as root; its package brings a user.
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    data, port = folder / "data", free_port()
    try:
        _write(folder)
        for path in (folder, folder / "server.key", folder / "server.crt"):
            shutil.chown(path, user)
        initialise = ("--pgdata", data, "--username", "postgres", "--auth", "reject", "--no-sync", "--encoding", "UTF8")
        subprocess.run([programs / "initdb", *initialise], user=user, cwd=folder, check=True, capture_output=True)
        (data / "pg_hba.conf").write_text(RULES)
        me = pwd.getpwuid(os.geteuid()).pw_name
        (data / "pg_ident.conf").write_text(f"all {me} postgres\n")
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            "ssl": "on",
            "ssl_cert_file": folder / "server.crt",
            "ssl_key_file": folder / "server.key",
            "fsync": "off",  # the machine does not lose power in a test; what was committed survives kills
            "log_connections": "on",
        }
        stated = [*(f"-c{name}={value}" for name, value in settings.items()), *(f"-c{option}" for option in options)]
        command: list[str | Path] = [programs / "postgres", "-D", data, "-p", str(port), *stated]
        ready: list[str | Path] = [programs / "pg_isready", "--host", folder, "--port", str(port), "--timeout", "30"]
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(command, user=user, cwd=folder, stdout=log, stderr=log) as server,
        ):
            try:
                while subprocess.run(ready, capture_output=True).returncode:
                    assert server.poll() is None, (folder / "log").read_text()
                yield Cluster(programs, folder, port)
            finally:
                server.send_signal(2)  # SIGINT: end now, whoever is connected
    finally:
        shutil.rmtree(folder)


def certificate(of: str = "127.0.0.1") -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate that is signed by itself, good for a day; and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, of)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made, key


def pem(certificate: x509.Certificate) -> str:
    """The certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _write(folder: Path) -> None:
    made, key = certificate()
    (folder / "server.crt").write_text(pem(made))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.key").write_bytes(private)
    (folder / "server.key").chmod(0o600)
