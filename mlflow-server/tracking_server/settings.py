"""Settings of the server and of the migration, from environment variables that start with TRACKING_."""

import ipaddress
import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "TRACKING_"
ENGINES = 2
"""Of each worker: MLflow keeps one for runs and one for the registry, each with a pool. A test counts them."""


class Unsafe(Exception):
    """The environment holds what must not be there; the message names each variable and the reason."""


def _certificates(text: str) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, TypeError, ValueError) as error:
        raise ValueError(f"holds no certificate in PEM: {error}") from error
    return text


def _words(value: object) -> object:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


Extension = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]*$")]


class Database(BaseSettings):
    """Where the database is and how to log in. Raises pydantic.ValidationError naming each wrong variable."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, use_attribute_docstrings=True)

    database_host: Annotated[str, Field(min_length=1)]
    """Its name or address."""
    database_port: Annotated[int, Field(ge=1, le=65535)] = 5432
    """Its port."""
    database_name: Annotated[str, Field(min_length=1)]
    """The database within the instance."""
    database_user: Annotated[str, Field(min_length=1)]
    """Who logs in. Of a Google service account: its address without `.gserviceaccount.com`."""
    database_login: Literal["iam", "password"] = "password"
    """A Google token for each new connection, or the password in the file."""
    database_password_file: Path | None = None
    """File with the password, mounted from a secret; read for each new connection, so that it can change."""
    database_ca: Annotated[str, AfterValidator(_certificates)] | None = None
    """Certificates (PEM) of authorities that sign for this database alone; with them it proves what it is."""
    database_ca_file: Path | None = None
    """A file with the same, instead."""
    database_wait_seconds: Annotated[float, Field(ge=0, le=3600)] = 180
    """How long a start waits for the database. A first connection through Cloud Run's network can take a minute."""

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Self:
        if self.database_login == "password" and self.database_password_file is None:
            raise ValueError("database_password_file is missing; database_login is 'password'")
        if self.database_login == "iam" and self.database_password_file is not None:
            raise ValueError("database_password_file contradicts database_login 'iam'")
        return self

    @model_validator(mode="after")
    def _one_authority(self) -> Self:
        if self.database_ca is not None and self.database_ca_file is not None:
            raise ValueError("database_ca_file contradicts database_ca")
        return self


class Migration(Database):
    """What the migration needs to know beside the database."""

    server_user: Annotated[str, Field(min_length=1)]
    """The server's user, who is granted the rights on rows and no others."""
    extensions: Annotated[tuple[Extension, ...], NoDecode, BeforeValidator(_words)] = ()
    """Extensions that the database must have, separated by commas. Its flags have loaded their libraries."""

    @model_validator(mode="after")
    def _the_server_owns_nothing(self) -> Self:
        if self.server_user == self.database_user:
            raise ValueError("server_user is the migration's own: the server would own the schema")
        return self


HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?")
# The name with a hash that Cloud Run gives a service. All below a.run.app are Google's, so none can be pointed
# elsewhere, which is what the check of hosts is against. https://cloud.google.com/run/docs/triggering/https-request
RUN_NAME = re.compile(r"[a-z][a-z0-9-]{0,48}-\*\.a\.run\.app")


def _hosts(value: object) -> object:
    if not isinstance(value, str):
        return value
    hosts = tuple(host.strip() for host in value.split(","))
    for host in hosts:
        if not HOST.fullmatch(host) and not RUN_NAME.fullmatch(host):
            raise ValueError(f"{host!r} is no host[:port]; wildcards are not allowed but in SERVICE-*.a.run.app")
    return hosts


class Server(Database):
    """What a serving instance needs to know beside the database."""

    artifacts_url: Annotated[str, Field(pattern=r"^gs://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9](/[^\s?#]*[^\s?#/])?$")]
    """The bucket, gs://bucket[/prefix], that clients write to and read from with their own identity."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_hosts)]
    """Names that requests may be addressed to, as in their Host header, with commas between."""
    authenticated_by: Literal["cloud-run", "proxy"] | None = None
    """Who has checked the caller before a request comes here; nobody: only this machine is answered."""
    host: str = "127.0.0.1"
    """Address to listen on; in a container 0.0.0.0."""
    port: Annotated[int, Field(ge=1, le=65535)] = 5000
    """Port to listen on."""
    workers: Annotated[int, Field(ge=1, le=8)] = 2
    """Processes."""
    pool_size: Annotated[int, Field(ge=1, le=50)] = 2
    """Connections that each engine keeps. MLflow takes 0 for its default of 5."""
    max_overflow: Annotated[int, Field(ge=1, le=50)] = 3
    """Connections beyond those when all are busy. MLflow takes 0 for its default of 10."""
    download_max_bytes: Annotated[int, Field(ge=1_000, le=1_000_000_000)] = 30_000_000
    """The largest artifact that is shown or downloaded through the server, which holds it in memory meanwhile.

    Cloud Run ends answers of more than 32 MiB: https://cloud.google.com/run/quotas#request_limits
    """
    grace_seconds: Annotated[int, Field(ge=1, le=300)] = 8
    """How long requests in flight may take after SIGTERM; Cloud Run kills 10 s after it."""

    @property
    def connections(self) -> int:
        """The most that this instance opens: all pools full, and one of each worker's question for readiness."""
        return self.workers * (ENGINES * (self.pool_size + self.max_overflow) + 1)

    @model_validator(mode="after")
    def _nobody_unknown_from_outside(self) -> Self:
        if self.authenticated_by is None and not _is_loopback(self.host):
            raise ValueError(
                f"authenticated_by is missing, and host {self.host} is reached from other machines: MLflow would "
                "answer anyone"
            )
        # https://cloud.google.com/run/docs/container-contract#services-env-vars
        if self.authenticated_by == "cloud-run" and not os.environ.get("K_SERVICE"):
            raise ValueError("authenticated_by says cloud-run, but this is not Cloud Run: K_SERVICE is not set")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def mlflow_environment(server: Server, uri: str) -> dict[str, str]:
    """MLflow's own variables for this server; the database's address holds no password."""
    return {
        # The names by which MLflow's command hands its options to its workers: mlflow.server.constants.
        "_MLFLOW_SERVER_FILE_STORE": uri,
        "_MLFLOW_SERVER_REGISTRY_STORE": uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": server.artifacts_url,
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(server.allowed_hosts),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its processes outlive a SIGTERM
        "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": str(server.pool_size),
        "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": str(server.max_overflow),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def refuse_unsafe(environment: Mapping[str, str], ours: Mapping[str, str]) -> None:
    """Raise Unsafe for passwords in plain variables, unknown names, and MLflow's own where `ours` says otherwise."""
    known = {f"{PREFIX}{field}".upper() for kind in (Server, Migration) for field in kind.model_fields}
    wrong = []
    for name, value in sorted(environment.items()):
        if name in ("PGPASSWORD", f"{PREFIX}DATABASE_PASSWORD"):
            wrong.append(f"{name}: no password in a plain variable; name its file in {PREFIX}DATABASE_PASSWORD_FILE")
        elif name.startswith(PREFIX) and name not in known:
            wrong.append(f"{name}: unknown; there are {', '.join(sorted(known))}")
        elif name.startswith(("MLFLOW_", "_MLFLOW_")) and name != "MLFLOW_LOGGING_LEVEL" and ours.get(name) != value:
            wrong.append(f"{name}: not to be set here; {PREFIX}... variables decide")
    if wrong:
        raise Unsafe("\n".join(wrong))


def problems(error: ValidationError) -> str:
    """A line for each wrong variable, without its value."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        message = problem["msg"].removeprefix("Value error, ")
        # A rule on several fields starts with the name of the one to change.
        name = "_".join(map(str, problem["loc"])) or message.partition(" ")[0]
        lines.append(f"{PREFIX}{name.upper()}: {message}")
    return "\n".join(lines)
