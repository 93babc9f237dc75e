"""A platform that did all it does, searched byte by byte for one lead before and after it is forgotten."""

import csv
import gzip
import io
import json
import os
import sqlite3
import zipfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from service import records
from service.api.spool import Spool
from service.lifecycle import batch, compact, evaluate, forget, score, train
from service.lifecycle.data.table import read_table
from service.lifecycle.forgetting.places import HERE, PLACES
from service.lifecycle.training.golden import as_received
from service.storage import Folder
from tests.service import forge
from tests.service.api.server import Server
from tests.service.lifecycle.data.test_workbook import workbook
from tests.service.lifecycle.records import record, upload
from tests.service.lifecycle.world import DECIDED

LEAD, TRIAL, OTHER_TRIAL = "PLANTED-4711", "page-0000planted1", "page-000000other"
ROWS, SCORED = 300, 120
SOURCE = f"""
name = "walk"
path = "export.csv"
id_column = "lead_id"
target_column = "won"
positive = "yes"
groups = ["team"]
{DECIDED}[recipe]
candidate = "logistic_regression"
"""


def text_of(path: Path) -> bytes:
    """What a file holds, unpacked: of Parquet all cells, of an archive all parts, of a database all values."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if data[:4] == b"PAR1":
        return data + json.dumps(parquet.read_table(io.BytesIO(data)).to_pylist(), default=str).encode()
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return b"\n".join(archive.read(name) for name in archive.namelist())
    if data.startswith(b"SQLite format 3"):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            return "\n".join(database.iterdump()).encode()
    return data


def holding(root: Path, *words: str) -> set[str]:
    """The files in which one of the words stands."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(p.relative_to(root)) for p in files if any(word.encode() in text_of(p) for word in words)}


def rows_of(path: Path) -> Counter[str]:
    """A file's rows, in a form that can be compared: of the text of CSV and JSON each line."""
    data = path.read_bytes()
    if data[:4] in (b"PAR1", b"PK\x03\x04"):
        return Counter(map(str, read_table(path).cells.to_pylist()))
    return Counter((gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode().splitlines(keepends=True))


class Walk:
    """The platform's folder, and a folder of the user's own files beside it."""

    def __init__(self, root: Path, tracking: str) -> None:
        self.root, self.tracking = root, tracking
        self.platform, self.own = root / "platform", root / "own"
        self.leads, self.predictions = self.platform / "leads", self.platform / "predictions"
        self.source = self.own / "source.toml"
        self.own.mkdir(parents=True)
        frame, outcome = forge.rows(ROWS)
        self.inputs = [as_received(forge.SCHEMA, row) for row in frame.to_dict("records")]
        self.ids = [f"L-{place:05d}" for place in range(ROWS)]
        self.ids[7] = LEAD
        self.outcome = ["yes" if won else "no" for won in outcome]

    def table(self, *, outcomes: bool = False, bad: bool = False) -> list[list[Any]]:
        names = [feature.name for feature in forge.SCHEMA.features]
        rows = [[lead, *(row[name] for name in names)] for lead, row in zip(self.ids, self.inputs, strict=True)]
        if outcomes:
            rows = [[*row, won] for row, won in zip(rows, self.outcome, strict=True)]
        if bad:
            rows[20] = [LEAD, "many", *rows[20][2:]]
        return [["lead_id", *names, *(["won"] if outcomes else [])], *rows]

    def run(self, job: Any, *options: str) -> None:
        assert job.main([*options]) == 0

    def live(self) -> None:
        """Train, serve, score, try out on the page, deliver outcomes, evaluate, score files."""
        write_csv(self.own / "export.csv", self.table(outcomes=True))
        self.source.write_text(SOURCE)
        models = ("--models", str(self.platform / "store"))
        self.run(
            train, "--source", str(self.source), *models, "--tracking", self.tracking, "--publish-anyway", "a test"
        )
        server = Server(self.platform)
        given = [{n: v for n, v in row.items() if v is not None} for row in self.inputs]
        leads = [{"lead_id": lead, "features": row} for lead, row in zip(self.ids, given, strict=True)][:SCORED]
        other = given[7] | {"visits": 40.0}
        trials = [{"lead_id": TRIAL, "features": given[7]}, {"lead_id": OTHER_TRIAL, "features": other}]
        assert server.score(*leads, *trials, leads[7]).status_code == 200
        assert server.stop() == 0  # all is uploaded
        spool = Spool(self.platform / "spool", 10_000_000)
        waiting = [record(lead, inputs=given[7]) for lead in ("L-1", LEAD, TRIAL)]
        spool.append(records.to_lines(waiting))
        spool.stop()
        self._files(models)
        told = [["lead_id", "won"], *zip(self.ids, self.outcome, strict=True), [LEAD, ""], ["L-99999", ""]]
        write_csv(self.leads / "outcomes/crm.csv", told)
        write_csv(self.leads / "contacts/calls.csv", [["lead_id"], *([lead] for lead in self.ids)])
        write_csv(self.leads / "groups/teams.csv", [["lead_id", "team"], *([lead, "east"] for lead in self.ids)])
        now = (datetime.now(UTC) + timedelta(days=31)).isoformat()
        places = [f"--{name}={self.platform / name}" for name in ("predictions", "leads")]
        self.run(evaluate, "--source", str(self.source), *models, *places, "--tracking", self.tracking, "--now", now)
        self._compact(models, now, given[7], other)
        draft = self.predictions / f"batch/.draft-{0:032x}"
        draft.write_text(f"{LEAD}\n")
        os.utime(draft, (0, 0))

    def _compact(self, models: tuple[str, str], now: str, given: dict[str, Any], other: dict[str, Any]) -> None:
        """Compact twice, so that the raw objects are deleted; later records come after it."""
        places = [f"--{name}={self.platform / name}" for name in ("predictions", "leads")]
        for _ in range(2):
            self.run(compact, *models, *places, "--now", now)
        late = [record(lead, inputs=given) for lead in ("L-1", LEAD, TRIAL)]
        upload(Folder(self.predictions), [*late, record(OTHER_TRIAL, inputs=other)])

    def _files(self, models: tuple[str, str]) -> None:
        inbox = self.leads / "batch"
        inbox.mkdir(parents=True)
        write_csv(inbox / "may.csv", self.table(bad=True))
        parquet.write_table(read_table(self.own / "export.csv").cells, inbox / "june.parquet")
        (inbox / "july.xlsx").write_bytes(workbook(Leads=self.table()[:100]))
        (inbox / "august.csv.gz").write_bytes(gzip.compress((inbox / "may.csv").read_bytes()))
        out = str(self.predictions / "batch")
        self.run(batch, "--source", str(self.source), *models, "--input", str(inbox), "--out", out)
        self.run(score, str(inbox / "may.csv"), "--out", str(self.own / "scores.csv"), *models)

    def forget(self, *more: str) -> int:
        place = ("--platform", str(self.platform), "--source", str(self.source))
        return forget.main([*place, "--also", str(self.own / "scores.csv"), "--lead-id", LEAD, *more])


def write_csv(path: Path, rows: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory, mlflow_url: str) -> Walk:
    made = Walk(tmp_path_factory.mktemp("walk"), mlflow_url)
    made.live()
    return made


def test_after_forgetting_nothing_of_the_lead_is_left_and_all_else_is(
    walk: Walk, mlflow_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert holding(mlflow_home, LEAD, TRIAL) == set()  # its database and artifacts
    found = holding(walk.root, LEAD, TRIAL)
    places = {f"platform/{place.storage}/{place.prefix}" for place in PLACES} | {"platform/spool/"}
    assert {place for place in places if not any(path.startswith(place) for path in found)} == set()
    own = {"own/export.csv", "own/scores.csv", "own/scores.csv.quarantine.jsonl.gz"}
    assert {path for path in found if not path.startswith(tuple(places))} == own
    rows = {path: rows_of(walk.root / path) for path in found if "draft" not in path}

    assert walk.forget("--dry-run") == 0
    assert {path: rows_of(walk.root / path) for path in rows} == rows
    assert walk.forget() == 0
    would, did = capsys.readouterr().out.split("In all removed ")
    assert "trials on the page" in would
    assert holding(walk.root, LEAD, TRIAL) == {"own/export.csv"}
    for path, old in rows.items():
        gone = Counter({row: count for row, count in old.items() if LEAD in row or TRIAL in row})
        if path != "own/export.csv":
            left = walk.root / path
            assert (rows_of(left) if left.exists() else Counter()) == old - gone, path
    assert OTHER_TRIAL in "".join(str(text_of(path)) for path in walk.predictions.rglob("*.gz"))
    assert "export.csv: holds 1 rows of these leads" in did

    assert walk.forget() == 0
    assert "In all removed 0 rows" in capsys.readouterr().out


def test_the_documentation_names_every_place() -> None:
    readme = Path(forget.__file__).with_name("README.md").read_text()
    section = readme.partition("## Forget a lead\n")[2].partition("\n## ")[0]
    cells = {cell.strip() for line in section.splitlines() if line.startswith("|") for cell in line.split("|")}
    assert {place.holds for place in (*PLACES, *HERE)} <= cells
