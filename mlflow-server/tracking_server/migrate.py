"""Brings extensions and schema to what this MLflow needs, and gives the server its rights on rows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import mlflow.db
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from tracking_server.database import Unusable, check_schema, engine, wait
from tracking_server.login import uri
from tracking_server.settings import Migration

LOCK = 0x6D6C666C6F77  # "mlflow": the advisory lock's number, the same in every version
LOCK_WAIT = "15min"


def migrate(settings: Migration, say: Callable[[str], None]) -> None:
    """Make or bring up to date the schema, then grant. Does nothing twice; raises Unusable.

    PostgreSQL changes schemas within transactions, so an interrupted migration left the schema as it was.
    """
    wait(settings, say)
    connections = engine(settings)
    with _alone(connections, say):
        _extend(connections, settings)  # first: an audit covers the migration itself
        mlflow.db.commands(["upgrade", uri(settings)], standalone_mode=False)
        check_schema(connections)
        with connections.begin() as connection:
            _grant(connection, settings)
        _verify(connections, settings)
    say(f"the schema is that of MLflow {mlflow.__version__}; {settings.server_user} may read and write rows")


@contextmanager
def _alone(connections: Engine, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock that keeps a second migration out; a connection that breaks gives it up."""
    with connections.connect() as connection:
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": LOCK}):
            say(f"another migration is at work; waiting {LOCK_WAIT} at most")
            connection.execute(text(f"SET lock_timeout = '{LOCK_WAIT}'"))
            try:
                connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
            except OperationalError as error:
                raise Unusable(f"another migration was at work for {LOCK_WAIT}; see its log") from error
        connection.commit()  # no transaction stays open meanwhile: the lock is the session's
        yield


def _extend(connections: Engine, settings: Migration) -> None:
    """Create the extensions that are missing.

    On Cloud SQL any user that belongs to cloudsqlsuperuser may, and the migration's does.
    https://cloud.google.com/sql/docs/postgres/extensions#requirement_for_superuser_privileges
    """
    for extension in settings.extensions:
        with connections.begin() as connection:
            name = connection.dialect.identifier_preparer.quote_identifier(extension)
            try:
                connection.execute(text(f"CREATE EXTENSION IF NOT EXISTS {name}"))
            except SQLAlchemyError as error:
                raise Unusable(
                    f"TRACKING_EXTENSIONS: {extension} cannot be created by {settings.database_user} "
                    f"({str(getattr(error, 'orig', None) or error).strip()}): set the database's flag that loads it, "
                    "make this user one that may create extensions, or take it from the list"
                ) from error


def _grant(connection: Connection, settings: Migration) -> None:
    quote = connection.dialect.identifier_preparer.quote_identifier
    server, name = quote(settings.server_user), quote(settings.database_name)
    schema = quote(str(connection.scalar(text("SELECT current_schema()"))))
    for statement in (
        f"GRANT CONNECT ON DATABASE {name} TO {server}",
        f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC",  # a database made before PostgreSQL 15 has it
        f"GRANT USAGE ON SCHEMA {schema} TO {server}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {server}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {server}",
        f"REVOKE INSERT, UPDATE, DELETE ON {schema}.alembic_version FROM {server}",
    ):
        connection.execute(text(statement.replace(":", r"\:")))


def _verify(connections: Engine, settings: Migration) -> None:
    """Raise Unusable when the server has more than rights on rows, by whatever grant."""
    with connections.connect() as connection:
        more = connection.execute(
            text(
                "SELECT has_schema_privilege(:server, current_schema(), 'CREATE') OR rolsuper OR EXISTS ("
                " SELECT FROM pg_tables WHERE schemaname = current_schema()"
                " AND pg_has_role(:server, tableowner, 'USAGE')) FROM pg_roles WHERE rolname = :server"
            ),
            {"server": settings.server_user},
        ).scalar_one()
    if more:
        raise Unusable(f"TRACKING_SERVER_USER: {settings.server_user} could change the schema: take that right from it")
