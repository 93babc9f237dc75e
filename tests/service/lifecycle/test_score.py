import csv
import gzip
import io
import json
import os
from pathlib import Path

import pytest
from pyarrow import parquet

from service.lifecycle import score
from service.lifecycle.data.table import read_table
from service.lifecycle.runtime.runner import JobFailed
from service.storage import Folder
from tests.facts import states
from tests.service import forge

LEADS = "lead_id,visits,region\nb,7,north\na,1,south\n"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = Folder(tmp_path_factory.mktemp("models"))
    forge.release(folder)
    return folder.url


def run(models: str, folder: Path, text: str, out: str = "scores.csv", *more: str) -> int:
    (folder / "leads.csv").write_text(text)
    return score.main([str(folder / "leads.csv"), "--out", str(folder / out), "--models", models, *more])


def ids(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        return [str(row["lead_id"]) for row in parquet.read_table(path).to_pylist()]
    return [row["lead_id"] for row in csv.DictReader(path.read_text().splitlines())]


def rows(path: Path) -> list[dict[str, str]]:
    """The rows as a program reads them that looks at the first line for the delimiter."""
    text = path.read_text("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if ";" in text.split("\n")[0] else ","))


@pytest.mark.parametrize("out", ["scores.csv", "scores.parquet"])
def test_scores_stand_in_the_order_of_the_file(models: str, tmp_path: Path, out: str) -> None:
    assert run(models, tmp_path, LEADS, out) == 0
    assert ids(tmp_path / out) == ["b", "a"]
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == ["leads.csv", out]


def test_rows_that_were_set_aside_are_told_and_kept(
    models: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(models, tmp_path, LEADS + "c,many,\n") == 0
    said = capsys.readouterr().out
    states(said.splitlines(), "row 4", "visits", "'many'", "number")
    states(said.splitlines(), "'visits': 1 of 3", "could not be read")
    aside = tmp_path / "scores.csv.quarantine.jsonl.gz"
    assert json.loads(gzip.decompress(aside.read_bytes()))["lead_id"] == "c"
    assert run(models, tmp_path, LEADS) == 0
    assert not aside.exists()


@pytest.mark.parametrize(
    ("below", "leads"),
    [
        ('"Confidential, do not share","",""\n', 2),
        ('"Report of May","",""\n\n"Confidential","",""\n', 2),
        ("Total (2),8,\n", 2),
        ("Anzahl,2,\n\n", 2),
        ("c,,north\n", 3),
        ("Confidential,,\nc,3,north\n", 4),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_below_the_table_are_no_leads_in_training_and_scoring(
    models: str, tmp_path: Path, below: str, leads: int, end: str
) -> None:
    text = (LEADS + below).replace("\n", end)
    (tmp_path / "leads.csv").write_bytes(text.encode())
    options = ["--out", str(tmp_path / "scores.csv"), "--models", models]
    assert score.main([str(tmp_path / "leads.csv"), *options]) == 0
    assert len(ids(tmp_path / "scores.csv")) == leads
    assert read_table(tmp_path / "leads.csv").cells.num_rows == leads


def test_a_last_lead_whose_values_the_model_does_not_take_is_one(models: str, tmp_path: Path) -> None:
    assert run(models, tmp_path, "lead_id,visits,region,name\na,1,south,Ann\nb,,,Bob\n") == 0
    assert ids(tmp_path / "scores.csv") == ["a", "b"]


def test_earlier_scores_are_replaced_only_when_all_is_done(models: str, tmp_path: Path) -> None:
    assert run(models, tmp_path, LEADS) == 0
    before = (tmp_path / "scores.csv").read_bytes()
    assert run(models, tmp_path, "lead_id,visits\n" + "a,1\n" * 300_000 + 'b,"2\n') == 1
    assert (tmp_path / "scores.csv").read_bytes() == before
    assert run(models, tmp_path, "lead_id,visits\nz,1\n") == 0
    assert ids(tmp_path / "scores.csv") == ["z"]


def test_ids_may_stand_in_another_column(models: str, tmp_path: Path) -> None:
    assert run(models, tmp_path, LEADS.replace("lead_id", "customer"), "scores.csv", "--id-column", "customer") == 0
    assert ids(tmp_path / "scores.csv") == ["b", "a"]


@pytest.mark.parametrize(
    "written",
    [
        LEADS.replace(",", ";").encode("utf-16"),
        b"sep=;\r\n" + LEADS.replace(",", ";").encode(),
        ("Report\n\n" + LEADS.replace("lead_id,visits,region", " Lead_ID ,VISITS,Region")).encode("cp1252"),
        (LEADS.replace("north", "NORTH ") + "\n\nTotal,8,\n").encode(),
        LEADS.replace("\n", "\n\n").replace("b,", '"=""b""",').encode(),
    ],
)
def test_a_file_in_another_spelling_gets_the_scores_of_the_plain_one(
    models: str, tmp_path: Path, written: bytes
) -> None:
    assert run(models, tmp_path, LEADS, "plain.csv") == 0
    (tmp_path / "other.csv").write_bytes(written)
    assert score.main([str(tmp_path / "other.csv"), "--out", str(tmp_path / "out.csv"), "--models", models]) == 0
    plain, other = (rows(tmp_path / name) for name in ("plain.csv", "out.csv"))
    assert other == plain


def test_rows_have_the_numbers_of_a_spreadsheet(
    models: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(models, tmp_path, "Report\n\n" + LEADS + '\n"c\n",many,\n') == 0
    states(capsys.readouterr().out.splitlines(), "row 7", "visits", "'many'")


def test_scoring_no_row_at_all_fails(models: str, tmp_path: Path) -> None:
    assert run(models, tmp_path, LEADS.replace("7", "x").replace("1", "y")) == 1


@pytest.mark.parametrize(("out", "code"), [("scores.xlsx", 2), ("leads.csv", 2), ("none/such/scores.csv", 0)])
def test_the_output_is_checked_before_anything_is_read(models: str, tmp_path: Path, out: str, code: int) -> None:
    try:
        found = run(models, tmp_path, LEADS, out)
    except SystemExit as left:
        found = int(str(left.code))
    assert found == code
    assert (tmp_path / "leads.csv").read_text() == LEADS


def test_a_file_or_model_that_is_not_there_is_a_failure(
    models: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--out", str(tmp_path / "scores.csv"), "--models"]
    assert score.main([str(tmp_path / "none.csv"), *options, models]) == 1
    states(capsys.readouterr().err, "none.csv", "no such file")
    assert run(str(tmp_path / "no-models"), tmp_path, LEADS) == 1
    states(capsys.readouterr().err, "no-models", "no model")


def test_the_only_platform_is_found_and_of_several_one_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="scripts/up, which makes one"):
        score.platform_models(tmp_path)
    for number, name in enumerate(("crm", "bank")):
        (tmp_path / name / "store").mkdir(parents=True)
        (tmp_path / name / "store/champion.json").touch()
        if number == 0:
            assert score.platform_models(tmp_path) == os.fspath(tmp_path / "crm/store")
    with pytest.raises(JobFailed, match=r"2 are below .*bank/store, .*crm/store"):
        score.platform_models(tmp_path)
