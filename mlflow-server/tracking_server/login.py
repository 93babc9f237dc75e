"""How a connection logs in to the database: with a token of the account, or with a password from a file.

MLflow makes its engines itself, from a URI. The URI names the plugin below, which SQLAlchemy asks whenever it opens a
connection, so that neither password nor token is ever in a URI, a variable or a log; and TLS is never left out.
https://docs.sqlalchemy.org/en/20/core/connections.html#sqlalchemy.engine.CreateEnginePlugin
"""

import functools
import os
import threading
from typing import Any

import google.auth
import google.auth.transport.requests
from google.auth.exceptions import GoogleAuthError
from sqlalchemy import URL, Engine, event
from sqlalchemy.dialects import plugins
from sqlalchemy.engine import CreateEnginePlugin

from tracking_server.settings import Database

NAME = "tracking-login"
# All that an instance user may do with it: https://cloud.google.com/sql/docs/postgres/iam-logins
SCOPE = "https://www.googleapis.com/auth/sqlservice.login"
CONNECT_S = 10
"""How long one attempt may take, and how long sent bytes may stay unanswered before a connection counts as lost."""

plugins.register(NAME, __name__, "LoginPlugin")


class LoginRefused(Exception):
    """There is nothing to log in with; the message says why."""


def uri(database: Database) -> str:
    """The address that MLflow is given: no password, and the plugin that brings it."""
    return URL.create(
        "postgresql+psycopg",
        username=database.database_user,
        host=database.database_host,
        port=database.database_port,
        database=database.database_name,
        query={"plugin": NAME},
    ).render_as_string()


class LoginPlugin(CreateEnginePlugin):
    """Logs each new connection of an engine in. The settings come from the environment, as the URI did."""

    def __init__(self, _url: URL, _kwargs: dict[str, Any]) -> None:
        self._database = Database()  # values come from the environment

    def update_url(self, url: URL) -> URL:
        """SQLAlchemy takes `plugin` itself out of the query; there is nothing else of ours."""
        return url

    def engine_created(self, engine: Engine) -> None:
        """SQLAlchemy calls this once."""
        event.listen(engine, "do_connect", self._log_in)

    def _log_in(self, _dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
        # https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
        parameters |= {
            "password": secret(self._database),
            "sslmode": "require",
            "connect_timeout": CONNECT_S,
            "tcp_user_timeout": CONNECT_S * 1000,
            "application_name": "mlflow",
        }
        if authority := _authority(self._database):
            parameters |= {"sslmode": "verify-ca", "sslrootcert": authority}


def _authority(database: Database) -> str | None:
    """The file with the certificates that the database's own must be signed by."""
    if database.database_ca is not None:
        return _file(database.database_ca)
    return str(database.database_ca_file) if database.database_ca_file else None


@functools.cache
def _file(text: str) -> str:
    """The name of a file with this text, in memory: libpq takes files alone, and the disk is read-only."""
    descriptor = os.memfd_create("database-ca")
    with open(descriptor, "w", encoding="ascii", closefd=False) as file:
        file.write(text)
    return f"/proc/self/fd/{descriptor}"


def secret(database: Database) -> str:
    """A token that is fresh now, or the password as it is in the file now. Raises LoginRefused."""
    if database.database_login == "iam":
        return _token()
    try:
        password = database.database_password_file.read_text().strip() if database.database_password_file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise LoginRefused(f"TRACKING_DATABASE_PASSWORD_FILE: {database.database_password_file}: {error}") from error
    if not password:
        raise LoginRefused(f"TRACKING_DATABASE_PASSWORD_FILE: {database.database_password_file} is empty")
    return password


_credentials: Any = None
_lock = threading.Lock()


def _token() -> str:
    """The account's token; google-auth counts one as expired some minutes before its end."""
    global _credentials
    with _lock:
        try:
            if _credentials is None:
                _credentials, _ = google.auth.default(scopes=[SCOPE])
            if not _credentials.valid:
                _credentials.refresh(google.auth.transport.requests.Request())
            return str(_credentials.token)
        except GoogleAuthError as error:
            raise LoginRefused(f"Google gives no token for the database: {error}") from error
