"""The database as the server finds it: there or not, its schema this MLflow's or not, with room for us or not."""

import time
from collections.abc import Callable
from pathlib import Path

import mlflow
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from tracking_server.login import LoginRefused, uri
from tracking_server.settings import Database, Server

RETRY_S = 2.0
STATEMENT_MS = 5_000


class Unusable(Exception):
    """The database cannot be worked with; the message says why and what to do."""


def engine(database: Database) -> Engine:
    """Connections of our own beside MLflow's: each opened when it is asked for, and closed after."""
    return create_engine(uri(database), poolclass=NullPool)


def wait(database: Database, say: Callable[[str], None]) -> None:
    """Return when the database answers a login. Raises Unusable when it did not within the settings' time."""
    place = f"{database.database_name} at {database.database_host}:{database.database_port}"
    deadline, said = time.monotonic() + database.database_wait_seconds, ""
    while problem := unreadiness(database):
        if time.monotonic() + RETRY_S > deadline:
            raise Unusable(f"{place} cannot be used by {database.database_user}: {problem}")
        if problem != said:
            said = problem
            say(f"waiting for {place}: {problem}")
        time.sleep(RETRY_S)


def unreadiness(database: Database) -> str | None:
    """Why a new login to the database does not work now, or None. Takes 15 s at most."""
    connections = engine(database)
    try:
        with connections.connect() as connection:
            connection.execute(text(f"SET statement_timeout = {STATEMENT_MS}"))
            connection.execute(text("SELECT 1"))
    except LoginRefused as error:
        return str(error)
    except SQLAlchemyError as error:
        return str(getattr(error, "orig", None) or error).strip().replace("\n", "; ")
    return None


def check_schema(connections: Engine) -> None:
    """Raise Unusable unless the schema is the one of this MLflow. Changes nothing."""
    try:
        with connections.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    except ProgrammingError as error:
        user = connections.url.username
        raise Unusable(
            f"{user} may not read the schema ({error.orig}): run the image with `migrate`, it grants"
        ) from error
    script = ScriptDirectory(str(Path(mlflow.__file__).parent / "store/db_migrations"))
    needed = script.get_current_head()
    if found == needed:
        return
    here = f"MLflow {mlflow.__version__} needs the schema {needed}"
    if found is None:
        raise Unusable(f"the database holds no schema, {here}: run the image with `migrate`")
    try:
        script.get_revision(found)
    except CommandError:
        raise Unusable(
            f"the database has the schema {found} of a newer MLflow, {here}: run the newer image, or restore the "
            "backup that was taken before its migration"
        ) from None
    raise Unusable(f"the database has the older schema {found}, {here}: take a backup, run the image with `migrate`")


def check_room(connections: Engine, server: Server) -> None:
    """Raise Unusable when this instance alone could take more connections than the database gives out."""
    with connections.connect() as connection:
        rows = connection.execute(
            text("SELECT name, setting FROM pg_settings WHERE name IN ('max_connections', :superusers, :reserved)"),
            {"superusers": "superuser_reserved_connections", "reserved": "reserved_connections"},
        )
        limits = {name: int(value) for name, value in rows}
    room = limits.pop("max_connections") - sum(limits.values())
    if server.connections > room:
        raise Unusable(
            f"TRACKING_WORKERS {server.workers}, TRACKING_POOL_SIZE {server.pool_size} and TRACKING_MAX_OVERFLOW "
            f"{server.max_overflow} may open {server.connections} connections, the database gives {room}: lower them, "
            "or raise its max_connections"
        )
