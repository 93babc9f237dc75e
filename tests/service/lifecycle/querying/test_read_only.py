"""What a query cannot do: write, attach, install, set, or read other files."""

import contextlib
import io
import json
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from pyarrow import parquet

from service.lifecycle.querying.read_only import QueryRefused, answer
from service.lifecycle.querying.views import add_records
from service.lifecycle.relations.columns import record_table
from service.lifecycle.relations.duck import DuckEngine, opened
from service.storage import Folder, Storage, StorageError, open_storage
from tests.service.lifecycle.records import NOON, record, upload

DAY = timedelta(days=1)
SECRET = "only for root"
KEY = "predictions/dt=2026-03-01/hh=12/batch.parquet"

READ = [
    "from read_csv('{secret}', header = false)",
    "from read_text('{secret}')",
    "from read_blob('{secret}')",
    "from read_parquet('{secret}')",
    "from sniff_csv('{secret}')",
    "from '{secret}'",
    "from glob('{folder}/*')",
    "from frame",
    "select getenv('HOME')",
]
WRITTEN = [
    "copy (select 1) to '{target}'",
    "copy (select 1) to '{present}' (format parquet)",
    "with made as (copy (select 1) to '{target}') from made",
    "with made as (copy (select 1) to '{present}' (format parquet)) from made",
    "from json_execute_serialized_sql('{serialized}')",
    "copy (select 1) to '{folder}/new.csv'",
    "export database '{folder}/exported'",
]
CHANGES = [
    "create table made as select 1",
    "create temp table made as select 1",
    "create macro one() as 1",
    "insert into main.scored select 1",
    "with gone as (delete from main.scored returning *) from gone",
    "update main.scored set x = 2",
    "drop view predictions",
    "attach ':memory:' as other",
    "attach '{folder}/other.db'",
    "detach tables",
    "install httpfs",
    "load httpfs",
    "set memory_limit = '100GB'",
    "set enable_external_access = true",
    "reset lock_configuration",
    "pragma memory_limit = '100GB'",
    "pragma version",
    "call pragma_version()",
    "checkpoint",
    "vacuum",
    "use main",
    "commit",
    "rollback",
    "prepare later as select 1",
    "explain analyze create table made as select 1",
    "select 1; create table made as select 1",
]


class Place:
    """Records in a storage, a folder with a secret beside them, and what statements are filled in with."""

    def __init__(self, predictions: Storage, folder: Path) -> None:
        self.predictions, self.folder = predictions, folder
        upload(predictions, [record("a"), record("b")])
        file = io.BytesIO()
        parquet.write_table(record_table([record("c")]), file)
        predictions.create(KEY, file.getvalue())
        (folder / "secret.csv").write_text(SECRET)
        self.roots = ["objects:/", *([predictions.url] if isinstance(predictions, Folder) else [])]

    def state(self) -> dict[str, bytes]:
        """Every object and every file, with what it holds."""
        found = {key: stored.data for key in self.predictions.keys("") if (stored := self.predictions.read(key))}
        files = {str(path): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        return found | files

    def filled(self, statements: Iterable[str]) -> Iterator[str]:
        """The statements, for each way in which the records can be named."""
        for root in self.roots:
            present = f"{root}/{KEY}"
            copy = f"with made as (copy (select 1) to '{present}' (format parquet)) from made"
            ((serialized,),) = duckdb.execute("select json_serialize_sql(?)", [copy]).fetchall()
            assert not json.loads(serialized)["error"]
            words = {"secret": self.folder / "secret.csv", "folder": self.folder, "present": present}
            words |= {"target": f"{root}/new.csv", "serialized": serialized.replace("'", "''")}
            for statement in statements:
                for name, value in words.items():
                    statement = statement.replace(f"{{{name}}}", str(value))
                yield statement


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path, gcs_url: str) -> Place:
    url = str(tmp_path / "predictions") if request.param == "folder" else gcs_url
    (tmp_path / "beside").mkdir()
    return Place(open_storage(url), tmp_path / "beside")


@pytest.fixture
def engine(place: Place) -> Iterator[DuckEngine]:
    with opened(place.predictions, NOON - DAY, NOON + DAY, read_only=True) as made:
        made.connection.execute("create table scored as select 1 as x")
        add_records(made, NOON - DAY)
        yield made


def refused(engine: DuckEngine, statement: str) -> bool:
    try:
        list(answer(engine, statement).rows)
    except (QueryRefused, StorageError):  # the latter of an object that is not there
        return True
    return False


def test_a_query_reads_no_other_file_and_changes_nothing(place: Place, engine: DuckEngine) -> None:
    frame = pd.DataFrame({"held": [SECRET]})  # DuckDB finds frames of the program by their variables' names
    before = place.state()
    assert SECRET in frame["held"].tolist()
    for statement in place.filled([*READ, *WRITTEN, *CHANGES]):
        assert refused(engine, statement), statement
        with contextlib.suppress(duckdb.Error):
            engine.connection.execute("rollback")
    assert place.state() == before
    assert engine.connection.execute("select current_setting('memory_limit')").fetchall() == [("1.1 GiB",)]
    assert list(answer(engine, "select count(*) from predictions").rows) == [(3,)]


def test_the_connection_itself_cannot_write_to_the_records(place: Place, engine: DuckEngine) -> None:
    before = place.state()
    for statement in place.filled(WRITTEN):
        with pytest.raises(duckdb.Error):
            engine.connection.execute(statement).fetchall()
    assert place.state() == before


def test_the_locked_settings_cannot_be_opened_again(engine: DuckEngine) -> None:
    for setting in ("enable_external_access = true", "allowed_directories = ['/']", "memory_limit = '100GB'"):
        with pytest.raises(duckdb.Error):
            engine.connection.execute(f"set {setting}")
