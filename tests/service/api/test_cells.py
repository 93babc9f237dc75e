"""POST /v1/score/cells: raw cells, read as the training read its file."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service.api import cells
from service.api.page import files
from service.api.problem import Problem
from service.lifecycle.training.onnx_export import to_onnx
from service.model.bundle import Bundle
from service.model.engine import Engine
from service.model.schema import Feature, LeadSchema
from service.model.spelling import NumberSpelling
from service.storage import open_storage
from tests.service import forge
from tests.service.api.server import JSON, Server

GERMAN = LeadSchema(
    features=(
        Feature(name="visits", kind="number", missing=("keine",), spelling=NumberSpelling(decimal=",", grouping=".")),
        *forge.SCHEMA.features[1:],
    )
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("cells")
    forge.release(open_storage(str(root / "store")), version="v1", schema=GERMAN)
    running = Server(root)
    yield running
    running.stop()


def post(server: Server, query: str = "", **body: Any) -> httpx.Response:
    return server.http.post(f"/v1/score/cells{query}", content=json.dumps(body), headers=JSON)


def test_each_cell_means_what_it_meant_in_training_and_scores_as_its_value_does(server: Server) -> None:
    columns = [" VISITS ", "days.since contact", "opted_in", "industry", "lead_id", "not the model's"]
    rows = [
        ["1.234,5", "3.5", "Ja", " HEALTH", "007", "x"],
        ["keine", "999", "nein", "unknown", "1007.0", "x"],
        [7, 3.5, True, "retail", 9007199254740993, None],
        ["", "n/a", None, "", "L4", ""],
    ]
    answer = post(server, columns=columns, rows=rows).json()["rows"]
    leads: list[dict[str, Any]] = [
        {"visits": 1234.5, "days.since contact": 3.5, "opted_in": True, "industry": "health"},
        {"days.since contact": 999, "opted_in": False},
        {"visits": 7, "days.since contact": 3.5, "opted_in": True, "industry": "retail"},
        {},
    ]
    scores = server.score(*({"features": lead} for lead in leads)).json()["scores"]
    assert [row["score"] for row in answer] == [each["score"] for each in scores]
    assert [row["band"] for row in answer] == [each["band"] for each in scores]
    assert [row["lead_id"] for row in answer] == ["007", "1007", "9007199254740993", "L4"]
    assert answer[0]["expected_value"] == 100 * answer[0]["score"] - 10


def test_a_row_that_cannot_be_read_says_why_and_the_others_are_scored(server: Server) -> None:
    before = server.metric("leadscoring_records_written_total")
    rows = [
        ["L1", "1.5x", "vielleicht"],
        ["", "1", "ja"],
        ["Total", "1", ""],
        ["L4", "2"],
        ["L5", "2", "ja"],
        ["L6", 10**400, ""],
    ]
    answer = post(server, columns=["lead_id", "visits", "opted_in"], rows=rows).json()["rows"]
    assert [[problem["path"] for problem in row.get("problems", [])] for row in answer] == [
        ["visits", "opted_in"],
        ["lead_id"],
        ["lead_id"],
        [""],
        [],
        ["visits"],
    ]
    assert "'1.5x' is no number" in str(answer[0])
    assert ["score" in row for row in answer] == [False, False, False, False, True, False]
    assert server.metric("leadscoring_records_written_total") == before + 1


def test_reasons_come_in_words_where_they_are_asked_for(server: Server) -> None:
    body: dict[str, Any] = {"columns": ["lead_id", "visits", "opted_in"], "rows": [["L1", "14,0", "Ja"]]}
    (row,) = post(server, "?explain=true", **body).json()["rows"]
    assert row["because"][:2] == [
        "Visits is 14,0: more than most, raises the score",
        "Opted in is Ja: raises the score",
    ]
    assert row["reasons"][0]["feature"] == "visits"
    (row,) = post(server, **body).json()["rows"]
    assert row.keys() == {"lead_id", "score", "decision", "band", "expected_value", "model_version"}


def test_a_file_without_ids_gets_them_and_another_column_may_have_them(server: Server) -> None:
    (row,) = post(server, columns=["visits"], rows=[["1"]]).json()["rows"]
    assert row["lead_id"].endswith("-0")
    (row,) = post(server, columns=["visits", "Deal"], rows=[["1", "D1"]], id_column="deal").json()["rows"]
    assert row["lead_id"] == "D1"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"columns": ["visits"], "rows": []}, 422, "rows"),
        ({"columns": ["a"], "rows": [["1"]]}, 409, "none of the model's columns is there; it reads 'visits'"),
        ({"columns": ["visits"], "rows": [["1"]], "id_column": "x"}, 409, "no column is called 'x'"),
        ({"columns": ["visits"], "rows": [["1"]] * 1_001}, 422, "at most 1000 rows a request; 1001 were sent"),
        ({"columns": ["visits"], "rows": [[["1"]]]}, 422, "no lead scored"),
        ({"columns": ["visits"] * 2_001, "rows": [["1"]]}, 422, "no lead scored"),
        ({"columns": ["visits"], "rows": [["1"]], "more": 1}, 422, "more"),
    ],
)
def test_a_request_that_is_no_table_is_refused_whole(
    server: Server, body: dict[str, Any], status: int, said: str
) -> None:
    answer = post(server, **body)
    assert answer.status_code == status
    assert said in answer.text


@pytest.mark.parametrize("columns", [["visits", "lead_id", "visits"], ["Visits", "lead_id", "VISITS "]])
def test_a_column_that_is_there_twice_is_refused(server: Server, columns: list[str]) -> None:
    answer = post(server, columns=[*columns, "industry"], rows=[["1", "L1", "2", "health"]])
    assert answer.status_code == 409
    assert answer.json()["errors"] == [{"path": "columns", "message": "'visits' is there more than once"}]


def test_what_is_bounded_for_scores_is_bounded_for_cells(server: Server) -> None:
    assert post(server, "?explain=true", columns=["visits"], rows=[["1"]] * 101).status_code == 422
    assert post(server, columns=["visits"], rows=[["1" * 4_000_001]]).status_code == 413
    assert server.http.post("/v1/score/cells", content="{", headers=JSON).status_code == 400
    assert server.http.post("/v1/score/cells", content="{}", headers={"Content-Type": "text/plain"}).status_code == 415
    assert server.http.post("/page/layout", content=b"a,b", headers=JSON).status_code == 415
    assert server.http.post("/page/check", content=b"[]", headers=JSON).status_code == 422


def test_the_description_says_how_each_field_may_be_written_and_what_is_missing(server: Server) -> None:
    document = server.http.get("/openapi.json").json()
    about = document["paths"]["/v1/score/cells"]["post"]["description"]
    (visits,) = (line for line in about.splitlines() if line.startswith("| visits |"))
    assert "a number such as 1.234,5" in visits
    assert "'keine'" in visits
    assert "n/a" in visits
    (opted,) = (line for line in about.splitlines() if line.startswith("| opted_in |"))
    assert "wahr" in opted
    assert "Dates and times are no input" in about
    fields = document["components"]["schemas"]["Features"]["properties"]
    assert "a number such as 1.234,5" in fields["visits"]["description"]
    assert "999.0" in fields["days.since contact"]["description"]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    pipeline, _ = forge.train()
    exported = to_onnx(pipeline)
    engine = Engine(exported.onnx, exported.encoding, forge.SCHEMA)
    return Bundle(forge.manifest(exported), engine, "", forge.reference(pipeline))


@pytest.mark.parametrize(
    ("head", "encoding", "delimiter", "row", "rest"),
    [
        (b"a,b\n1,2\n", "utf-8", ",", 1, "1,2\n"),
        ("\ufeffä;b\n1;2\n".encode(), "utf-8", ";", 1, "1;2\n"),
        ("ä;b\n1;2\n".encode("cp1252"), "windows-1252", ";", 1, "1;2\n"),
        ("a\t\U0001f600\n1\t2\n".encode("utf-16"), "utf-16le", "\t", 1, "1\t2\n"),
        ("a\tb\n1\t2\n".encode("utf-16-be"), "utf-16be", "\t", 1, "1\t2\n"),
        (b"sep=|\na|b\n1|2\n", "utf-8", "|", 2, "1|2\n"),
        (b"Report\n\na,b,c\n1,2,3\n", "utf-8", ",", 3, "1,2,3\n"),
    ],
)
def test_the_page_is_told_how_a_file_is_cut(head: bytes, encoding: str, delimiter: str, row: int, rest: str) -> None:
    found = files.layout(head)
    assert (found.encoding, found.delimiter, found.row) == (encoding, delimiter, row)
    units = head.decode(encoding).removeprefix("\ufeff").encode("utf-16-le")
    assert units[2 * found.start :].decode("utf-16-le") == rest


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b" \n", "empty"),
        (b"PAR1...", "Parquet"),
        (b"PK\x03\x04", "workbook or a ZIP"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel"),
        (b"a\x00b,c\n", "NUL byte"),
        ("a,b\n".encode("utf-32"), "UTF-32"),
        (b"one column\n", "is one column"),
    ],
)
def test_what_is_no_csv_is_named(head: bytes, said: str) -> None:
    with pytest.raises(Problem, match=said):
        files.layout(head)


def checked(
    bundle: Bundle, columns: list[str], rows: list[list[Any]], last: list[list[Any]] | None = None
) -> files.FileCheck:
    return files.check(bundle, json.dumps({"columns": columns, "rows": rows, "last": last or []}).encode())


def test_totals_at_the_end_and_cells_that_cannot_be_read_are_told_before_scoring(bundle: Bundle) -> None:
    last = [["L1", "2", "x"], ["Total", "2", ""]]
    found = checked(bundle, ["lead_id", "visits", "region"], [["L1", "many", "x"], ["L2", "3", "y"]], last)
    assert (found.below, found.wrong_rows, found.id_place) == (1, 1, 0)
    assert found.problems == [files.FoundProblem(0, "visits", "'many' is no number")]
    assert found.places == {"visits": 1, "region": 2}
    assert found.absent == ["days.since contact", "opted_in", "industry"]


def test_a_column_that_is_wholly_unlike_training_is_named(bundle: Bundle) -> None:
    unlike = checked(bundle, ["visits", "region"], [["many", "Nord"]] * 30).unlike
    assert [each.column for each in unlike] == ["visits", "region"]
    assert checked(bundle, ["visits", "region"], [["3", "NORTH "]] * 30).unlike == []
    assert checked(bundle, ["visits", "region"], [["many", "Nord"]] * 19).unlike == []


def test_a_name_that_two_columns_have_is_no_column_of_the_model(bundle: Bundle) -> None:
    found = cells.Columns(bundle, ["Visits", "VISITS", "region"])
    assert found.places == [None, None, None, None, 2]
