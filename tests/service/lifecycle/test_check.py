"""A file of leads is looked at before a training, by one command whose exit status says what came of it."""

import gzip
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from service.lifecycle.check import main
from service.lifecycle.data.leads import load
from service.lifecycle.data.source import SourceError, load_source
from tests.facts import states
from tests.service.lifecycle.data.test_workbook import workbook
from tests.service.lifecycle.inspection.exports import export
from tests.service.lifecycle.inspection.test_draft import confirm


def test_a_file_is_described_and_its_lead_source_trains_once_confirmed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = export(tmp_path)
    assert main([str(file)]) == 0
    states(capsys.readouterr().out.splitlines(), file, "CSV", "UTF-8", "','", "row 1", "300 leads", "5 columns")
    leads = load(load_source(confirm(tmp_path / "leads.toml")))
    assert leads.target.sum() == 100
    assert list(leads.frame.columns) == ["Size", "Source"]
    assert leads.in_time_order


@pytest.mark.parametrize("form", ["gzip", "UTF-16", "Parquet", "workbook"])
def test_other_forms_are_named_and_read_alike(tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = export(tmp_path, name="leads")
    table = csv.read_csv(file)
    if form == "gzip":
        file.write_bytes(gzip.compress(file.read_bytes()))
    elif form == "UTF-16":
        file.write_text(file.read_text(encoding="utf-8"), encoding="utf-16")
    elif form == "Parquet":
        parquet.write_table(table.set_column(1, "Created", table["Created"].cast(pa.timestamp("ms"))), file)
    else:
        rows = [table.column_names, *([str(cell) for cell in row.values()] for row in table.to_pylist())]
        file.write_bytes(workbook(Leads=rows))
    assert main([str(file)]) == 0
    states(capsys.readouterr().out.splitlines()[0], form, "300 leads")
    assert load(load_source(confirm(tmp_path / "leads.toml"))).target.sum() == 100


@pytest.mark.parametrize(
    ("content", "facts"),
    [(b"", ("empty",)), (b"a,b,c\n", ("no leads",)), (None, ("ZIP archive", "'leads.csv'" and "leads.csv", "unpack"))],
)
def test_a_file_that_training_refuses_is_refused_alike(
    tmp_path: Path, content: bytes | None, facts: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "export.csv"
    if content is None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.write(export(tmp_path), "leads.csv")
    else:
        file.write_bytes(content)
    assert main([str(file)]) == 1
    states(capsys.readouterr().err, file, *facts)
    assert not (tmp_path / "export.toml").exists()


def test_of_several_sheets_one_is_to_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[list[object]] = [[*line.split(",")] for line in export(tmp_path).read_text().splitlines()]
    file = tmp_path / "book.xlsx"
    file.write_bytes(workbook(Leads=rows, Notes=[["hello"]]))
    assert main([str(file)]) == 1
    states(capsys.readouterr().err, "Leads, Notes", "sheet")
    assert main([str(file), "--sheet", "Leads"]) == 0
    assert load_source(confirm(tmp_path / "book.toml")).sheet == "Leads"


def test_too_few_conversions_and_one_outcome_end_with_1_and_the_source_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(export(tmp_path, rows=60))]) == 1
    states(capsys.readouterr().out.splitlines(), "not enough", 20, 60, 50)
    assert main([str(export(tmp_path, ["Closed Lost"])), "--force"]) == 1
    states(capsys.readouterr().out, "'Closed Lost'", "only outcome")
    states((tmp_path / "leads.toml").read_text(), "'Closed Lost'", "only outcome")


def test_a_lead_source_is_replaced_only_by_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, toml = export(tmp_path), tmp_path / "crm.toml"
    toml.write_text("mine")
    assert main([str(file), "--out", str(toml)]) == 1
    states(capsys.readouterr().err, toml, "--force")
    assert toml.read_text() == "mine"
    assert main([str(file), "--out", str(toml), "--force"]) == 0
    with pytest.raises(SourceError):
        load_source(toml)


def test_a_person_can_name_the_outcome(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = export(tmp_path, ["bought", "left"], outcome="What happened")
    assert main([str(file)]) == 0
    states(capsys.readouterr().out, "--outcome", "--won")
    assert main([str(file), "--outcome", "What happened", "--won", "bought", "--force"]) == 0
    source = load_source(confirm(tmp_path / "leads.toml"))
    assert (source.target_column, source.positive) == ("What happened", ("bought",))
    for wrong, fact in ((["--outcome", "Stage"], "'Stage'"), (["--outcome", "What happened", "--won", "won"], "'won'")):
        assert main([str(file), *wrong]) == 1
        states(capsys.readouterr().err, fact)


def test_open_leads_are_counted_and_left_out_once_the_losing_value_is_confirmed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = export(tmp_path, ["Closed Won", "Closed Lost", "Closed Lost", "Negotiation", ""])
    assert main([str(file)]) == 0
    out = capsys.readouterr().out.splitlines()
    states(
        out, "Stage", "'Closed Lost' 120 (lost)", "'Closed Won' 60 (won)", "'Negotiation' 60 (open)", "empty 60 (open)"
    )
    states(out, 60, 180, "33.3%")
    leads = load(load_source(confirm(tmp_path / "leads.toml")))
    assert (leads.target.sum(), len(leads.target)) == (60, 180)


@pytest.mark.parametrize(
    "wrong",
    [[], ["leads.csv", "--decide", "leads.toml"], ["leads.csv", "--won", "x"], ["leads.csv", "--out", "leads.csv"]],
)
def test_wrong_use_ends_with_2(wrong: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(wrong)


def test_the_page_to_decide_on_is_printed_of_a_confirmed_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(export(tmp_path))]) == 0
    toml = tmp_path / "leads.toml"
    assert main(["--decide", str(toml)]) == 2
    capsys.readouterr()
    assert main(["--decide", str(confirm(toml)), "--html", str(tmp_path / "page.html")]) == 0
    states(capsys.readouterr().out, 60, 300, "profit", "agreed_by")
    assert (tmp_path / "page.html").is_file()
