"""Files for people, as scripts/score writes them."""

import csv
import io
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from service.lifecycle import batch, score
from service.lifecycle.forgetting.erasure import without
from service.lifecycle.forgetting.search import Search, Tally
from service.model import bundle
from service.model.bundle import Bundle
from service.model.decide import contacts_made
from service.storage import Folder
from tests.facts import states
from tests.service import forge

LEADS = """lead_id,visits,opted_in,industry,company,phone
L1,12,true,health,Acme,+49 30 1
L2,many,true,health,Bolt,+49 30 2
L3,0,false,retail,=1+1,+49 30 3

,5,true,retail,Nameless,
L5,1,true
Total,18,,,,
L6,,,mining,Coal & Co,-12.5
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = Folder(tmp_path_factory.mktemp("models"))
    forge.release(folder)
    return folder.url


@pytest.fixture(scope="module")
def served(models: str) -> Bundle:
    return batch.load_bundle(Folder(Path(models)))


def run(models: str, folder: Path, data: str | bytes, *options: str, out: str = "scores.csv") -> int:
    (folder / "leads").write_bytes(data.encode() if isinstance(data, str) else data)
    return score.main([str(folder / "leads"), "--out", str(folder / out), "--models", models, *options])


def rows(path: Path, delimiter: str = ",", encoding: str = "utf-8") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(encoding), newline=""), delimiter=delimiter))


def test_every_lead_stands_in_its_order_with_worth_reasons_and_its_own_columns(models: str, tmp_path: Path) -> None:
    assert run(models, tmp_path, LEADS, "--show", "company,phone") == 0
    found = rows(tmp_path / "scores.csv")
    reasons = ["reason_1", "reason_2", "reason_3"]
    own = ["lead_id", "score", "band", "expected_value", "decision"]
    assert list(found[0]) == [*own, "company", "phone", *reasons, "left_out", "model_version"]
    assert [row["lead_id"] for row in found] == ["L1", "L2", "L3", "", "", "L6"]
    assert [row["company"] for row in found] == ["Acme", "Bolt", "'=1+1", "Nameless", "", "Coal & Co"]
    assert [row["phone"] for row in found] == ["'+49 30 1", "'+49 30 2", "'+49 30 3", "", "", "-12.5"]
    first, many, _, nameless, cut, last = found
    assert float(first["expected_value"]) == pytest.approx(100 * float(first["score"]) - 10, abs=0.005)
    assert first["reason_1"] == "Visits is 12: more than most, raises the score"
    assert last["reason_1"] == "Visits is missing: lowers the score"
    assert first["left_out"] == last["left_out"] == ""
    for row, facts in ((many, ["row 3", "visits", "'many'"]), (nameless, ["row 6", "names no lead"]), (cut, ["row 7"])):
        assert row["score"] == row["decision"] == row["reason_1"] == row["model_version"] == ""
        states(row["left_out"], *facts)


def test_without_reasons_the_scores_are_the_same(models: str, tmp_path: Path) -> None:
    assert run(models, tmp_path, LEADS) == 0
    with_reasons = rows(tmp_path / "scores.csv")
    assert run(models, tmp_path, LEADS, "--no-reasons") == 0
    without_reasons = rows(tmp_path / "scores.csv")
    assert "reason_1" not in without_reasons[0]
    assert [row["score"] for row in without_reasons] == [row["score"] for row in with_reasons]


def test_a_german_file_is_answered_in_its_own_spelling(models: str, tmp_path: Path) -> None:
    source = tmp_path / "crm.toml"
    head = 'name = "crm"\npath = "leads"\ntarget_column = "won"\npositive = "ja"\nmetric = "profit"\ndecimal = ","\n'
    who = 'metric_reason = "why"\nagreed_by = "us"\nagreed_on = 2026-01-01\n'
    source.write_text(f"{head}{who}[economics]\nconversion_value = 100\ncontact_cost = 10\n")
    text = "lead_id;visits;days.since contact;company\nL1;7;3,5;Müller; Söhne\n".replace("; Söhne", " & Söhne")
    assert run(models, tmp_path, text.encode("cp1252"), "--source", str(source), "--show", "company") == 0
    assert (tmp_path / "scores.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    (row,) = rows(tmp_path / "scores.csv", ";", "utf-8-sig")
    assert row["company"] == "Müller & Söhne"
    assert float(row["score"].replace(",", ".")) > 0
    assert "," in row["score"]
    assert "," in row["expected_value"]
    assert run(models, tmp_path, text.replace(",", ".").encode()) == 0
    (row,) = rows(tmp_path / "scores.csv", ";")
    assert "." in row["score"]


def test_parquet_stays_typed_and_exact(models: str, tmp_path: Path) -> None:
    table = pa.table({"lead_id": ["=1", "L2"], "visits": [3.0, 4.0], "size": [-7, 8], "score": ["x", "y"]})
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    assert run(models, tmp_path, sink.getvalue(), "--show", "size,score", out="scores.parquet") == 0
    found = parquet.read_table(tmp_path / "scores.parquet")
    assert found["lead_id"].to_pylist() == ["=1", "L2"]
    assert found["size"].to_pylist() == [-7, 8]
    assert found["file_score"].to_pylist() == ["x", "y"]
    assert found.schema.field("expected_value").type == pa.float64()
    assert found["left_out"].null_count == 2


def test_rows_that_were_left_out_stand_in_their_place_in_large_files(models: str, tmp_path: Path) -> None:
    lines = [f"L{row},{'x' if row % 1_000 == 3 else row % 9}{',' * (row % 1_000 == 5)}" for row in range(2, 20_000)]
    assert run(models, tmp_path, "lead_id,visits\n" + "\n".join(lines), "--no-reasons") == 0
    found = rows(tmp_path / "scores.csv")
    assert len(found) == len(lines)
    for row, line in zip(found, range(2, 20_000), strict=True):
        assert row["lead_id"] in (f"L{line}", "")
        assert (row["score"] == "") == (line % 1_000 in (3, 5)) == (f"row {line}" in row["left_out"])


def capped(models: str, folder: Path, served: Bundle, capacity: float) -> str:
    """The same model of a team that makes so many contacts of 1,000 leads."""
    stored = Folder(Path(models))
    target = Folder(folder)
    money = served.manifest.economics.model_copy(update={"contacts_per_1000_leads": capacity})
    manifest = served.manifest.model_copy(update={"economics": money, "threshold": 0.1})
    files = [stored.read(f"models/{served.version}/{name}") for name in (bundle.MODEL, bundle.GOLDEN)]
    onnx, golden = (file.data for file in files if file)
    rows = bundle.GOLDEN_ROWS.validate_json(golden)
    forge.point(target, served.version, bundle.publish(target, manifest, onnx, rows, "# Card", served.reference))
    return target.url


@pytest.mark.parametrize(("capacity", "leads"), [(100, 20_000), (333, 500)])
def test_a_team_contacts_the_best_as_many_as_it_can(
    models: str, served: Bundle, tmp_path: Path, capacity: float, leads: int
) -> None:
    few = capped(models, tmp_path / "few", served, capacity)
    lines = [f"L{row},{row % 11},{'x' if row % 50 == 3 else 'true'}" for row in range(leads)]
    assert run(few, tmp_path, "lead_id,visits,opted_in\n" + "\n".join(lines), "--no-reasons") == 0
    scored = [row for row in rows(tmp_path / "scores.csv") if row["score"]]
    scores = pa.array([float(row["score"]) for row in scored]).to_numpy()
    money = served.manifest.economics.model_copy(update={"contacts_per_1000_leads": capacity})
    expected = contacts_made(scores, scores >= 0.1, money)
    assert expected.sum() == int(capacity * len(scored) / 1000)
    assert [row["decision"] == "contact" for row in scored] == expected.tolist()


@pytest.mark.parametrize(
    ("option", "facts"),
    [("a,b,c,d", ["one to 3"]), ("a,a", ["different"]), (",", ["one to 3"])],
)
def test_columns_to_show_are_few_and_different(
    models: str, tmp_path: Path, option: str, facts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        run(models, tmp_path, LEADS, "--show", option)
    assert left.value.code == 2
    states(capsys.readouterr().err, *facts)


def test_a_column_to_show_that_is_not_there_is_named(
    models: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(models, tmp_path, LEADS, "--show", "firma") == 1
    states(capsys.readouterr().err, "'firma'", "company")
    assert run(models, tmp_path, LEADS, "--show", "COMPANY") == 0


def test_sentences_are_kept_and_forgetting_them_changes_nothing(
    models: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(models, tmp_path, LEADS) == 0
    before = rows(tmp_path / "scores.csv")
    monkeypatch.setattr("service.lifecycle.scoring.for_people.CACHED", 0)
    assert run(models, tmp_path, LEADS) == 0
    assert rows(tmp_path / "scores.csv") == before


def test_a_lead_is_forgotten_in_a_file_for_people(models: str, tmp_path: Path) -> None:
    text = "lead_id;visits\n=cmd;1\nL2;2\n'=cmd;3\n"
    assert run(models, tmp_path, text) == 0
    found = rows(tmp_path / "scores.csv", ";")
    assert [row["lead_id"] for row in found] == ["'=cmd", "L2", "'=cmd"]
    opened, kept = Folder(tmp_path).open("scores.csv"), io.BytesIO()
    assert opened is not None
    assert without("scores.csv", opened, kept, Search(frozenset({"=cmd"}), ("lead_id",))) == Tally(1, 2)
    assert b"L2" in kept.getvalue()
    assert b"cmd" not in kept.getvalue()
