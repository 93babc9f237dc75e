"""The migration owns the schema, runs alone, and can be repeated; the server gets rights on rows and no others."""

import subprocess
import sys
import time
import uuid
from pathlib import Path

import psycopg
import pytest

from tests.mlflow_server.cluster import OWNER, SERVER, Unavailable, running_cluster
from tests.mlflow_server.server import PASSWORD, Tracking
from tracking_server.migrate import LOCK

pytestmark = pytest.mark.system


def login(tracking: Tracking, user: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host="127.0.0.1",
        port=tracking.cluster.port,
        user=user,
        password=PASSWORD,
        dbname=tracking.database,
        sslmode="require",
    )


def test_an_empty_database_is_migrated_once_and_again_without_harm(tracking: Tracking) -> None:
    first = tracking.run("migrate")
    assert first.returncode == 0, first.stderr
    assert f"{SERVER} may read and write rows" in first.stderr
    with tracking.cluster.admin(tracking.database) as admin:
        owners = admin.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert owners == [(OWNER,)]
        admin.execute("INSERT INTO experiments (experiment_id, name, workspace) VALUES (7, 'kept', 'default')")
    again = tracking.run("migrate")
    assert again.returncode == 0, again.stderr
    with tracking.cluster.admin(tracking.database) as admin:
        assert admin.execute("SELECT name FROM experiments WHERE experiment_id = 7").fetchall() == [("kept",)]


def test_the_server_may_change_rows_but_not_the_schema(migrated: Tracking) -> None:
    with login(migrated, SERVER) as server:
        server.execute("INSERT INTO experiments (name, workspace) VALUES ('by the server', 'default')")
        server.execute("UPDATE experiments SET name = 'renamed'")
        server.execute("DELETE FROM experiments")
        server.commit()
        for forbidden in (
            "CREATE TABLE mine (id int)",
            "ALTER TABLE experiments ADD COLUMN mine int",
            "DROP TABLE experiments CASCADE",
            "TRUNCATE experiments CASCADE",
            "UPDATE alembic_version SET version_num = 'mine'",
            "CREATE SCHEMA mine",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                server.execute(forbidden)
            server.rollback()


def test_a_server_user_with_more_rights_is_refused_by_name(tracking: Tracking) -> None:
    with tracking.cluster.admin(tracking.database) as admin:
        admin.execute(f'GRANT CREATE ON SCHEMA public TO "{SERVER}"')
    refused = tracking.run("migrate")
    assert refused.returncode == 1
    assert f"TRACKING_SERVER_USER: {SERVER} could change the schema" in refused.stderr


def test_a_second_migration_waits_for_the_first(tracking: Tracking) -> None:
    with login(tracking, OWNER) as first:
        first.execute(f"SELECT pg_advisory_lock({LOCK})")
        first.commit()
        command = [sys.executable, "-m", "tracking_server", "migrate"]
        with subprocess.Popen(command, env=tracking.migration(), stderr=subprocess.PIPE, text=True) as second:
            assert second.stderr
            assert "another migration is at work" in next(line for line in second.stderr if "tracking_server" in line)
            time.sleep(0.5)
            with tracking.cluster.admin(tracking.database) as admin:
                assert admin.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
            first.execute(f"SELECT pg_advisory_unlock({LOCK})")
            first.commit()
            rest = second.stderr.read()
        assert second.returncode == 0, rest


def test_an_interrupted_migration_is_taken_up_again(tracking: Tracking) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tracking_server", "migrate"], env=tracking.migration(), stderr=subprocess.DEVNULL
    ) as killed:
        with tracking.cluster.admin(tracking.database) as admin:
            while admin.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,):
                assert killed.poll() is None
                time.sleep(0.005)
        killed.kill()
    tracking.migrate()
    with login(tracking, SERVER) as server:
        server.execute("INSERT INTO experiments (name, workspace) VALUES (%s, 'default')", [uuid.uuid4().hex])


def test_with_pgaudit_the_migration_itself_and_later_grants_are_on_record(gcs: str, tmp_path: Path) -> None:
    try:
        # As on Cloud SQL with the flags of infra/stacks/database.py.
        with running_cluster("shared_preload_libraries=pgaudit", "pgaudit.log=ddl,role") as cluster:
            tracking = Tracking.on(cluster, "audited", gcs, tmp_path)
            with cluster.admin() as admin:  # who may create extensions on Cloud SQL; here only a superuser may
                admin.execute(f"ALTER ROLE {OWNER} SUPERUSER")
            done = tracking.run("migrate", TRACKING_EXTENSIONS="pgaudit")
            assert done.returncode == 0, done.stderr
            with cluster.admin("audited") as admin:
                assert admin.execute("SELECT extname FROM pg_extension WHERE extname = 'pgaudit'").fetchall()
                admin.execute(f'GRANT SELECT ON experiments TO "{SERVER}"')
            again = tracking.run("migrate", TRACKING_EXTENSIONS="pgaudit")
            assert again.returncode == 0, again.stderr
            said = [line for line in (cluster.folder / "log").read_text().splitlines() if "AUDIT: SESSION" in line]
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert any(",DDL,CREATE TABLE,TABLE,public.experiments," in line for line in said)
    assert any(",ROLE,GRANT,TABLE,," in line and "GRANT SELECT ON experiments" in line for line in said)


def test_an_extension_that_cannot_be_created_stops_the_migration_and_is_named(tracking: Tracking) -> None:
    refused = tracking.run("migrate", TRACKING_EXTENSIONS="pgaudit")
    assert refused.returncode == 1
    assert f"TRACKING_EXTENSIONS: pgaudit cannot be created by {OWNER}" in refused.stderr
    with tracking.cluster.admin(tracking.database) as admin:
        assert admin.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_a_wrong_password_ends_it_with_the_reason_and_no_secret(tracking: Tracking) -> None:
    tracking.cluster.set_password(OWNER, "another")
    try:
        refused = tracking.run("migrate", TRACKING_DATABASE_WAIT_SECONDS="1")
    finally:
        tracking.cluster.set_password(OWNER, PASSWORD)
    assert refused.returncode == 1
    assert 'password authentication failed for user "migrator"' in refused.stderr
    assert PASSWORD not in refused.stderr
