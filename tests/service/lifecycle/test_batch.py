import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from service.lifecycle import batch, forget
from service.lifecycle.data import file_parts
from service.lifecycle.data.form import Form
from service.lifecycle.data.lead_file import LeadFile
from service.lifecycle.data.sample import Sample, generate
from service.lifecycle.runtime.runner import JobFailed
from service.lifecycle.scoring import batch_scoring, scores_file, split
from service.lifecycle.scoring.batch_scoring import Counts, FileJob
from service.lifecycle.scoring.for_people import Wish
from service.lifecycle.scoring.scores_file import decided
from service.model import bundle
from service.model.bundle import Bundle
from service.model.decide import Decider
from service.storage import Folder, Storage, open_storage
from tests.conftest import HANG_S
from tests.facts import states, stating
from tests.service import forge

ROWS: list[dict[str, Any]] = [
    {"lead_id": "a", "visits": 7.0, "opted_in": True, "industry": "retail"},
    {"lead_id": "b", "visits": None, "opted_in": None, "industry": None},
    {"lead_id": "c", "visits": 1.0, "opted_in": False, "industry": "energy"},
]
CSV = b"lead_id,visits,opted_in,industry\na,7,true,retail\nb,,,\nc,1,false,energy\n"


@pytest.fixture(params=["folder", "bucket"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Storage, Storage]:
    root = str(tmp_path) if request.param == "folder" else request.getfixturevalue("gcs_url")
    return open_storage(f"{root}/leads/batch"), open_storage(f"{root}/predictions/batch")


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def made(served: Bundle, places: tuple[Storage, Storage], **options: Any) -> batch.BatchJob:
    how = {name: options.pop(name) for name in ("wish", "accepted", "form") if name in options}
    settings: dict[str, Any] = {"form": Form(), "threads": 2} | how
    job = FileJob(served, **settings)
    return batch.BatchJob(job, *places, **({"say": lambda _: None} | options))


def written(out: Storage) -> dict[str, list[dict[str, Any]]]:
    """Rows by object, those that were set aside as well."""
    found: dict[str, list[dict[str, Any]]] = {}
    for key in out.keys(""):
        stored = out.read(key)
        assert stored is not None
        if key.endswith(".parquet"):
            found[key] = parquet.read_table(io.BytesIO(stored.data)).to_pylist()
        elif key.endswith(".csv"):
            found[key] = list(csv.DictReader(io.StringIO(stored.data.decode())))
        elif key.endswith(".jsonl.gz"):
            found[key] = [json.loads(line) for line in gzip.decompress(stored.data).splitlines()]
    return found


def expected(served: Bundle, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the service answers."""
    features = [{name: value for name, value in row.items() if name != "lead_id"} for row in rows]
    scores = served.engine.score(served.engine.parse(json.dumps(features).encode()))
    decider = Decider(served.manifest)
    return [
        {
            "lead_id": row["lead_id"],
            "score": score,
            "decision": decider.decision(score),
            "band": decider.band(score),
            "model_version": served.version,
        }
        for row, score in zip(rows, scores, strict=True)
    ]


def test_files_of_every_kind_get_the_scores_that_the_service_gives(
    served: Bundle, places: tuple[Storage, Storage]
) -> None:
    leads, out = places
    leads.create("campaign/may", CSV)
    leads.create("june.csv", gzip.compress(CSV))
    leads.create("july", as_parquet(ROWS))
    leads.create("august.csv.gz", gzip.compress(as_parquet(ROWS)))
    counts = batch.run(made(served, places))
    assert counts.scored == 12
    found = written(out)
    assert [key.split(".2")[0] for key in found] == ["august.csv.gz", "campaign/may", "july", "june.csv"]
    for key, rows in found.items():
        assert served.version in key
        assert [{**row, "score": float(row["score"])} for row in rows] == expected(served, ROWS)
    assert counts.contacts == 4 * sum(row["decision"] == "contact" for row in expected(served, ROWS))


def test_scores_are_decided_as_the_service_decides(served: Bundle) -> None:
    limits = [served.manifest.threshold, *(band.min_score for band in served.manifest.bands)]
    scores = np.clip([each + step for each in (*limits, 0.5, 1.0) for step in (-1e-9, 0.0, 1e-9)], 0, 1)
    decider = Decider(served.manifest)
    decision, band = decided(decider, scores)
    assert decision.to_pylist() == [decider.decision(score) for score in scores]
    assert band.to_pylist() == [decider.band(score) for score in scores]


def test_what_is_done_is_skipped_until_the_file_or_the_model_changes(
    served: Bundle, places: tuple[Storage, Storage], models: Folder
) -> None:
    leads, out = places
    leads.create("may.csv", CSV)
    batch.run(made(served, places))
    first = list(out.keys(""))
    for as_format in (None, "parquet"):
        assert batch.run(made(served, places, as_format=as_format)) == Counts()
    assert list(out.keys("")) == first
    stored = leads.read("may.csv")
    assert stored is not None
    leads.swap("may.csv", CSV + b"d,2,,\n", stored.generation)
    assert batch.run(made(served, places)).scored == 4
    assert len(list(out.keys(""))) == 2
    newer = Folder(models.root.parent / f"newer-{os.getpid()}-{time.monotonic_ns()}")
    forge.release(newer, seed=1)
    assert batch.run(made(batch.load_bundle(newer), places)).scored == 4
    assert len(list(out.keys(""))) == 3


def test_bad_rows_are_set_aside_with_file_row_column_and_reason(
    served: Bundle, places: tuple[Storage, Storage]
) -> None:
    leads, out = places
    leads.create("may.csv", b"lead_id,visits,opted_in\na,7,true\nb,many,perhaps\nc\n,2,\nd,1,\n")
    counts = batch.run(made(served, places))
    assert (counts.scored, counts.set_aside) == (2, 3)
    scores, aside = sorted(written(out).items())
    assert [row["lead_id"] for row in scores[1]] == ["a", "d"]
    assert aside[0] == f"quarantine/{scores[0].removesuffix('.csv')}.jsonl.gz"
    assert {row["file"] for row in aside[1]} == {f"{leads.url}/may.csv"}
    assert [(row["lead_id"], row["row"], row["column"], row["reason"][:20]) for row in aside[1]] == [
        ("", 4, "", "has 1 cells where th"),
        ("b", 3, "visits", "'many' is no number"),
        ("b", 3, "opted_in", "'perhaps' is neither"),
        ("", 5, "lead_id", "'' names no lead, or"),
    ]


def test_a_refused_file_stops_no_other_and_leaves_nothing(served: Bundle, places: tuple[Storage, Storage]) -> None:
    leads, out = places
    leads.create("a.csv", b"lead_id,note\n1,x\n")
    leads.create("b.csv", CSV)
    leads.create("c.parquet", as_parquet(ROWS)[:-9])
    with pytest.raises(JobFailed, match=stating("a.csv", "none", "columns", "c.parquet", "broken")):
        batch.run(made(served, places))
    assert [key[:5] for key in out.keys("")] == ["b.csv"]


def test_a_file_that_breaks_in_the_middle_leaves_nothing(served: Bundle, places: tuple[Storage, Storage]) -> None:
    leads, out = places
    leads.create("a.csv", CSV + b"x,many,,\n" + b"d,1,true,retail\n" * 400_000 + b"e,1,true,\xff\n")
    with pytest.raises(JobFailed, match=r"a\.csv, row 400006: is not UTF-8"):
        batch.run(made(served, places))
    assert list(out.keys("")) == []


class FullForAMoment(io.BytesIO):
    """Takes what comes before the first scores, refuses these, and takes all later ones."""

    writes = 0

    def write(self, data: Any) -> int:
        self.writes += 1
        if self.writes == 2:
            raise OSError("no space left")
        return super().write(data)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_scores_that_cannot_be_written_are_a_failure(
    served: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Any
) -> None:
    monkeypatch.setattr(scores_file, "OPEN_ROWS", 1)
    (tmp_path / "leads.csv").write_bytes(CSV)
    with (
        (tmp_path / "leads.csv").open("rb", buffering=0) as file,
        LeadFile("leads.csv", file, len(CSV)) as leads,
        pytest.raises(OSError, match="no space left"),
    ):
        batch_scoring.score_file(leads, FileJob(served, Form(), threads=1), FullForAMoment(), lambda _: None, form)


def test_a_file_without_leads_is_done_once(served: Bundle, places: tuple[Storage, Storage]) -> None:
    leads, out = places
    leads.create("none.csv", b"lead_id,visits\n")
    assert batch.run(made(served, places)).scored == 0
    assert list(written(out).values()) == [[]]


def test_tasks_share_the_files_among_them(served: Bundle, tmp_path: Path) -> None:
    places = Folder(tmp_path / "leads"), Folder(tmp_path / "out")
    for number in range(30):
        places[0].create(f"{number}.csv", CSV)
    shares = [batch.run(made(served, places, task=task, tasks=4)).scored // 3 for task in range(4)]
    assert sum(shares) == 30
    assert min(shares) > 0
    assert len(list(places[1].keys(""))) == 30


def test_a_file_that_comes_while_tasks_start_moves_no_other(served: Bundle, tmp_path: Path) -> None:
    leads = Folder(tmp_path / "leads")
    tasks = [made(served, (leads, leads), task=task, tasks=3) for task in range(3)]
    for number in range(20):
        leads.create(f"{number}.csv", CSV)
    before = [{key for key in leads.keys("") if task.mine(key)} for task in tasks]
    leads.create("0-first.csv", CSV)
    assert [{key for key in leads.keys("") if task.mine(key)} - {"0-first.csv"} for task in tasks] == before


def test_two_starts_of_one_task_write_each_file_once(served: Bundle, places: tuple[Storage, Storage]) -> None:
    leads, out = places
    leads.create("may.csv", CSV)
    twice = made(served, places)
    assert batch.score_object(twice, "may.csv") is not None
    # As if the other start had listed the output before it was there.
    assert batch.score_object(twice, "may.csv", done=()) is None
    assert len(list(out.keys(""))) == 1


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "LEAST", 500)
    monkeypatch.setattr(file_parts, "PART_BYTES", 2_000)
    monkeypatch.setattr(file_parts, "PART_ROWS", 100)


def many(count: int, **columns: Any) -> list[dict[str, Any]]:
    """As many leads with these columns, of which each may depend on the lead's number."""
    row = {"visits": lambda i: float(i % 9), "opted_in": lambda i: i % 2 > 0, "industry": lambda _: "retail"} | columns
    return [{"lead_id": f"L-{i:04d}", **{name: value(i) for name, value in row.items()}} for i in range(count)]


def as_file(form: str, rows: list[dict[str, Any]]) -> bytes:
    if form == "csv":
        text = io.StringIO()
        table = csv.DictWriter(text, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
        return text.getvalue().encode()
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), sink, row_group_size=20)
    return sink.getvalue()


def in_tasks(served: Bundle, places: tuple[Storage, Storage], tasks: int, **options: Any) -> list[int]:
    return [batch.run(made(served, places, task=task, tasks=tasks, **options)).scored for task in range(tasks)]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_parts_of_one_file_are_shared_by_the_tasks_and_are_together_what_the_whole_would_be(
    served: Bundle, places: tuple[Storage, Storage], form: str
) -> None:
    leads, out = places
    rows = many(1_000, visits=lambda i: "many" if form == "csv" and i == 700 else float(i % 9))
    leads.create("may", as_file(form, rows))
    leads.create("small", as_file(form, rows[:5]))
    shares = in_tasks(served, places, 4)
    assert sum(shares) == 1_004 + (form == "parquet")
    assert min(shares) >= 100
    found = written(out)
    names = sorted(name for name in found if name.startswith("may"))
    assert len(names) > 5
    assert [name.rpartition(".part-")[2] for name in names] == [
        f"{n:0{len(str(len(names)))}}-of-{len(names)}.{form}" for n in range(1, len(names) + 1)
    ]
    scored = [row | {"score": float(row["score"])} for name in names for row in found[name]]
    assert scored == expected(served, [row for row in rows if row["visits"] != "many"])
    aside = [row for name, rows in found.items() if name.startswith("quarantine/") for row in rows]
    assert [(row["row"], row["file"]) for row in aside] == ([(702, f"{leads.url}/may")] if form == "csv" else [])


@pytest.mark.usefixtures("small_parts")
def test_forget_searches_the_division_of_a_file_too(served: Bundle, tmp_path: Path) -> None:
    leads, out = Folder(tmp_path / "leads/batch"), Folder(tmp_path / "predictions/batch")
    leads.create("may.csv", as_file("csv", many(1_000)))
    leads.create("packed.csv", gzip.compress(as_file("csv", many(1_000)), 0))
    batch.run(made(served, (leads, out)))
    assert len(list(out.keys("parts/"))) == 2
    assert forget.main(["--platform", str(tmp_path), "--lead-id", "L-0007"]) == 0


@pytest.mark.usefixtures("small_parts")
def test_a_start_with_another_number_of_tasks_or_a_later_version_scores_the_parts_that_are_missing(
    served: Bundle, places: tuple[Storage, Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    leads, out = places
    rows = many(1_000)
    leads.create("may.parquet", as_file("parquet", rows))
    first = batch.run(made(served, places, task=1, tasks=3)).scored
    assert 0 < first < 1_000
    monkeypatch.setattr(file_parts, "PART_ROWS", 300)
    assert first + sum(in_tasks(served, places, 2)) == 1_000
    assert sum(in_tasks(served, places, 5)) == 0
    found = written(out)
    assert [row["lead_id"] for name in sorted(found) if name[:3] == "may" for row in found[name]] == [
        row["lead_id"] for row in rows
    ]


@pytest.mark.usefixtures("small_parts")
def test_a_part_of_new_values_alone_is_scored_where_the_file_is_like_training(
    served: Bundle, places: tuple[Storage, Storage]
) -> None:
    leads, out = places
    leads.create("sorted.csv", as_file("csv", many(1_000, industry=lambda i: "retail" if i < 600 else "space")))
    assert sum(in_tasks(served, places, 2)) == 1_000
    leads.create("unlike.csv", as_file("csv", many(1_000, industry=lambda i: "retail" if i < 40 else "space")))
    with pytest.raises(JobFailed, match=stating("unlike.csv", "industry", "960 of 1,000")):
        batch.run(made(served, places))
    names = [name for name in out.keys("") if name.startswith("unlike")]
    assert len(names) < int(names[0].rpartition("-of-")[2].removesuffix(".csv"))


@pytest.mark.usefixtures("small_parts")
def test_a_part_without_a_lead_is_done_where_others_have_some(served: Bundle, places: tuple[Storage, Storage]) -> None:
    leads, out = places
    rows = many(1_000)
    nameless = [row | {"lead_id": ""} if i < 400 else row for i, row in enumerate(rows)]
    leads.create("a.csv", as_file("csv", nameless))
    assert sum(in_tasks(served, places, 2)) == 600
    leads.create("b.csv", as_file("csv", [row | {"lead_id": ""} for row in rows]))
    with pytest.raises(JobFailed, match=stating("b.csv", "no row could be scored", "row 2")):
        batch.run(made(served, places))
    assert not any(name.startswith("b") for name in out.keys(""))


@pytest.mark.usefixtures("small_parts")
def test_what_cannot_be_read_from_its_middle_and_what_is_for_people_stays_whole(
    served: Bundle, places: tuple[Storage, Storage]
) -> None:
    leads, out = places
    text = as_file("csv", many(1_000))
    leads.create("packed.csv", gzip.compress(text, 0))
    leads.create("utf-16.csv", text.decode().encode("utf-16"))
    assert batch.run(made(served, places)).scored == 2_000
    leads.create("plain.csv", text)
    people = made(served, places, wish=Wish())
    assert [piece.part for piece in batch.pieces(people, ())] == [None] * 3
    assert [name.split(".2")[0] for name in out.keys("") if not name.startswith("parts/")] == [
        "packed.csv",
        "utf-16.csv",
    ]


@pytest.mark.usefixtures("small_parts")
def test_a_large_file_that_is_broken_is_refused_by_one_task(served: Bundle, places: tuple[Storage, Storage]) -> None:
    leads, _ = places
    leads.create("a.parquet", as_file("parquet", many(1_000))[:-9])
    refused = []
    for task in range(3):
        try:
            batch.run(made(served, places, task=task, tasks=3))
        except JobFailed as error:
            refused.append(str(error))
    assert len(refused) == 1
    assert "broken Parquet" in refused[0]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LEADSCORING", "CLOUD_RUN"))}
    return {**kept, **more}


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long")
    frame = generate(Sample(rows=150_000)).frame[["lead_id", "pages_viewed", "region"]]
    frame.rename(columns={"pages_viewed": "visits"}).to_parquet(folder / "long.parquet")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_killed_in_the_middle_it_loses_and_repeats_no_row(
    place: str, models: Folder, long_file: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = str(tmp_path / "out") if place == "folder" else request.getfixturevalue("gcs_url")
    leads, out = Folder(tmp_path / "leads"), open_storage(url)
    whole = (long_file / "long.parquet").read_bytes()
    for number in range(4):
        leads.create(f"{number}.parquet", whole)
    command = [sys.executable, "-m", "service.lifecycle.batch", "--models", models.url, "--input", leads.url]
    killed = 0
    while True:
        with subprocess.Popen([*command, "--out", url, "--threads", "1"], env=environment()) as job:
            done = len(list(out.keys("")))
            while job.poll() is None and len(list(out.keys(""))) == done:
                time.sleep(0.01)
            # One file more is done, and another has been begun.
            time.sleep(0.05)
            if job.poll() is None and killed < 2:
                job.send_signal(signal.SIGKILL)
                killed += 1
                continue
            assert job.wait(HANG_S) == 0
            break
    assert killed == 2
    found = written(out)
    assert len(found) == 4
    ids = [f"L-{number:07d}" for number in range(1, 150_001)]
    for rows in found.values():
        assert [row["lead_id"] for row in rows] == ids


IN_SMALL_PARTS = """
from service.lifecycle import batch
from service.lifecycle.data import file_parts
from service.lifecycle.scoring import split

split.LEAST, file_parts.PART_ROWS = 1, 10_000
raise SystemExit(batch.main({arguments!r}))
"""


@pytest.mark.slow
def test_tasks_of_one_file_that_are_killed_lose_and_repeat_no_row(
    models: Folder, long_file: Path, tmp_path: Path
) -> None:
    leads, out = Folder(tmp_path / "leads"), Folder(tmp_path / "out")
    leads.root.mkdir()
    whole = parquet.read_table(long_file / "long.parquet")
    parquet.write_table(whole, leads.root / "long.parquet", row_group_size=1_000)
    arguments = ["--models", models.url, "--input", leads.url, "--out", out.url, "--threads", "1"]
    command = [sys.executable, "-c", IN_SMALL_PARTS.format(arguments=arguments)]
    killed = 0
    for tasks, task in ((2, 0), (2, 1), (3, 0), (3, 1), (3, 2)):
        place = environment(CLOUD_RUN_TASK_INDEX=str(task), CLOUD_RUN_TASK_COUNT=str(tasks))
        with subprocess.Popen(command, env=place) as job:
            done = len(list(out.keys("long")))
            while job.poll() is None and not (tasks == 2 and len(list(out.keys("long"))) > done):
                time.sleep(0.01)
            if tasks == 2:
                job.send_signal(signal.SIGKILL)
                killed += job.wait(HANG_S) == -signal.SIGKILL
            else:
                assert job.wait(HANG_S) == 0
    assert killed == 2
    found = written(out)
    names = sorted(name for name in found if name.startswith("long"))
    assert len(names) == 15
    assert [row["lead_id"] for name in names for row in found[name]] == [f"L-{n:07d}" for n in range(1, 150_001)]


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith(("LEADSCORING", "CLOUD_RUN"))]:
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("quiet")
def test_the_command_tells_what_it_did(models: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Folder(tmp_path / "leads").create("may.csv", CSV + b"x,many,,\n")
    options = ["--models", models.url, "--input", str(tmp_path / "leads"), "--out", str(tmp_path / "out")]
    assert batch.main([*options, "--metrics", str(tmp_path / "figures"), "--format", "parquet"]) == 0
    said = capsys.readouterr().out
    assert "may.csv: 3 scored" in said
    assert "set aside: " in said
    states(said.splitlines(), "row 5", "visits")
    assert "'many'" not in said
    assert "3 leads scored by" in said
    assert [p.suffix for p in (tmp_path / "out").glob("may*")] == [".parquet"]
    assert (
        'leadscoring_job_last_success_timestamp_seconds{job="batch"}' in (tmp_path / "figures/batch.prom").read_text()
    )


@pytest.mark.usefixtures("quiet")
def test_of_many_tasks_the_first_alone_speaks_of_success(
    models: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Folder(tmp_path / "leads").create("bad.csv", b"lead_id,note\n1,x\n")
    options = ["--models", models.url, "--input", str(tmp_path / "leads"), "--out", str(tmp_path / "out")]
    monkeypatch.setenv("CLOUD_RUN_TASK_COUNT", "2")
    codes = {}
    for task in "01":
        monkeypatch.setenv("CLOUD_RUN_TASK_INDEX", task)
        codes[task] = batch.main([*options, "--metrics", str(tmp_path / f"figures{task}")])
    assert sorted(codes.values()) == [0, 1]
    failed = next(task for task, code in codes.items() if code)
    assert "last_failure" in (tmp_path / f"figures{failed}/batch.prom").read_text()
    assert (tmp_path / "figures0/batch.prom").exists()
    assert (tmp_path / "figures1/batch.prom").exists() == (failed == "1")


def status(options: list[str]) -> object:
    try:
        return batch.main(options)
    except SystemExit as left:
        return left.code


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 2),
        (["--models", "m", "--input", "x", "--out", "x/scores"], 2),
        (["--models", "m", "--input", "x", "--out", "y", "--threads", "0"], 2),
        (["--models", "m", "--input", "s3://x", "--out", "y"], 2),
        (["--models", "m", "--input", "x", "--out", "y", "--source", "none.toml"], 2),
        (["--models", "m", "--input", "x", "--out", "y"], 1),
    ],
)
def test_wrong_use_is_told_from_failure(options: list[str], code: int, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert status(options) == code


def test_a_task_that_is_none_is_refused(quiet: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_RUN_TASK_INDEX", "3")
    assert batch.main(["--models", "m", "--input", "x", "--out", "y"]) == 2


def test_without_a_model_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="no model is served"):
        batch.load_bundle(Folder(tmp_path))
    assert bundle.read_pointer(Folder(tmp_path)) is None
