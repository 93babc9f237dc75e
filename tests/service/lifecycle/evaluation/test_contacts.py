import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from service.lifecycle.data.source import Source, load_source
from service.lifecycle.evaluation.contacts import STALE, WrittenFiles, write_contacts, write_groups
from service.lifecycle.relations.duck import without_records
from service.storage import open_storage
from tests.facts import states
from tests.service.lifecycle.world import DECIDED

CRM = f"""
name = "crm"
path = "leads.csv"
target_column = "won"
positive = "yes"
{{more}}
{DECIDED}"""
COLUMNS = 'contacts = {id_column = "Lead", time_column = "called", channel_column = "by", owner_column = "agent"}'


def crm(folder: Path, more: str = "") -> Source:
    folder.mkdir(exist_ok=True)
    toml = folder / "crm.toml"
    toml.write_text(CRM.format(more=more))
    return load_source(toml)


def read(folder: Path, more: str = "", **files: str | bytes) -> tuple[WrittenFiles, list[dict[str, Any]]]:
    leads = open_storage(str(folder))
    for name, content in files.items():
        leads.create(f"contacts/{name}", content.encode() if isinstance(content, str) else content)
    with without_records() as engine:
        written = write_contacts_of(engine, crm(folder, more), leads)
        rows = engine.results(["contact_rows"])["contact_rows"].to_pylist()
    return written, sorted(rows, key=lambda row: (row["file_number"], row["row"]))


def write_contacts_of(engine: Any, source: Source, leads: Any) -> WrittenFiles:
    """`contacts` reads the first scores, of which there are none here."""
    engine.connection.execute("create view first_scores as select '' as lead_key, now() as time where false")
    return write_contacts(engine, source, leads)


def test_ids_alone_are_contacts(tmp_path: Path) -> None:
    written, rows = read(tmp_path, a="lead_id,other\n1007.0,x\n1007,y\n", b="lead_id\n0019000000oC4HkAAK\n")
    assert (written.files, written.rejected) == (2, ())
    assert [(row["lead_key"], row["file_number"], row["row"]) for row in rows] == [
        ("1007", 0, 2),
        ("1007", 0, 3),
        ("0019000000oC4Hk", 1, 2),
    ]
    assert {row["time"] for row in rows} == {None}


def test_times_are_read_where_the_source_names_them_and_no_name_of_a_person_is(tmp_path: Path) -> None:
    file = io.BytesIO()
    frame = pd.DataFrame({"lead": ["a"], "called": ["2026-03-01"], "by": ["phone"], "agent": ["Kim"]})
    frame.to_parquet(file)
    text = "lead,CALLED,by,agent\nb,,mail,\n"
    written, rows = read(tmp_path, COLUMNS, a=file.getvalue(), b=text)
    assert written.rejected == ()
    assert [(row["lead_key"], row["time"]) for row in rows] == [("a", datetime(2026, 3, 1, tzinfo=UTC)), ("b", None)]
    assert not {"Kim", "phone"} & {cell for row in rows for cell in row.values()}


def test_times_that_name_no_zone_are_of_the_sources(tmp_path: Path) -> None:
    naive, parquet = "lead,called,by,agent\na,2026-03-01 09:30,,\nb,2026-03-01T09:30:00Z,,\n", io.BytesIO()
    pd.DataFrame({"lead": ["c"], "called": [datetime(2026, 7, 1, 9, 30)], "by": [""], "agent": [""]}).to_parquet(
        parquet
    )
    _, rows = read(tmp_path, f'timezone = "Europe/Berlin"\n{COLUMNS}', a=naive, b=parquet.getvalue())
    assert {row["lead_key"]: row["time"] for row in rows} == {
        "a": datetime(2026, 3, 1, 8, 30, tzinfo=UTC),
        "b": datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
        "c": datetime(2026, 7, 1, 7, 30, tzinfo=UTC),
    }


def test_what_names_no_lead_and_what_cannot_be_read_is_rejected(tmp_path: Path) -> None:
    files: dict[str, Any] = {
        "a": "lead_id,x\n1,\n ,x\n",
        "b": "id\n1\n",
        "c": b"\x1f\x8b broken",
        "d": "lead_id\n1.23E+15\n",
    }
    written, rows = read(tmp_path, **files)
    assert [row["lead_key"] for row in rows] == ["1"]
    assert [(bad.file.rpartition("/")[2], bad.row) for bad in written.rejected] == [
        ("a", 3),
        ("b", 0),
        ("c", 0),
        ("d", 0),
    ]
    states(written.rejected[1].reason, "'lead_id'", "contacts.id_column")


def test_lists_that_stopped_or_cannot_be_read_are_doubted(tmp_path: Path) -> None:
    said = "Lead,called,by,agent\na,2026-03-01,,\nb,2026-02-01,,\nc,,,\n"
    written, _ = read(tmp_path / "timed", COLUMNS, a=said, b="Lead,called,by,agent\na,2026-01-01,,\n")
    newest = datetime(2026, 3, 1, tzinfo=UTC)
    assert written.until == newest
    assert written.doubt(newest + STALE) == ""
    states(written.doubt(newest + STALE + timedelta(seconds=1)), "newest contact", "1 March 2026")
    untimed, _ = read(tmp_path / "untimed", a="lead_id,x\na,\n ,x\n")
    assert untimed.rejected
    assert (untimed.until, untimed.doubt(newest + 90 * STALE)) == (None, "")
    broken, _ = read(tmp_path / "broken", COLUMNS, a=said, b="other\n1\n")
    states(broken.doubt(newest), "1 list of contacts", "not be read")
    nothing, _ = read(tmp_path / "none")
    assert nothing.doubt(newest) == ""


def test_a_consoles_folder_is_no_file(tmp_path: Path) -> None:
    leads = open_storage(str(tmp_path))
    leads.create("contacts/a.csv", b"")
    written, _ = read(tmp_path)
    assert (written.files, [bad.row for bad in written.rejected]) == (0, [0])


def test_groups_are_read_from_files_that_have_some_of_their_columns(tmp_path: Path) -> None:
    leads = open_storage(str(tmp_path))
    leads.create("groups/a.csv", b"lead_id,Country,other\n1007.0,DE,x\n,AT,x\nL2,,x\n")
    leads.create("groups/b.csv", b"lead_id,sector\nL2,retail\n")
    leads.create("groups/c.csv", b"name,sector\nL2,retail\n")
    with without_records() as engine:
        engine.connection.execute(
            "create view scored_outcomes as select '' as lead_key, true as is_ripe, false as is_after, "
            "true as contacted, true as is_labelled, 1.0 as weight, 1 as target, 0.5 as first_score where false"
        )
        written = write_groups(engine, crm(tmp_path, 'groups = ["country", "sector"]'), leads)
        found = engine.results(["group_rows", "group_counts"])
    assert sorted((row["lead_key"], row["name"], row["value"]) for row in found["group_rows"].to_pylist()) == [
        ("1007", "country", "DE"),
        ("L2", "sector", "retail"),
    ]
    assert len(found["group_counts"]) == 0
    assert written.files == 2
    states([str(row) for row in written.rejected], "a.csv", "row 3", "no lead is named")
    states([str(row) for row in written.rejected], "c.csv", "lead_id")
