"""scripts/query over a small world: records, outcomes, evaluations."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from service import history
from service.history import BandOutcome, Estimate, Evaluation, VersionOutcome
from service.lifecycle import compact, query
from service.lifecycle.querying.examples import EXAMPLES
from tests.facts import states
from tests.service.lifecycle.records import NOON, record, upload
from tests.service.lifecycle.world import World

WINDOW = ("--since", "2026-02-01", "--until", "2026-04-01")
CONVERTED = {"a": True, "b": False, "c": True}


def evaluation() -> Evaluation:
    return Evaluation(
        time=NOON,
        since=NOON - timedelta(days=30),
        until=NOON,
        model_version="two",
        leads=100,
        without_outcome=0,
        complete=None,
        missing_records=0.0,
        figures={"roc_auc": Estimate(0.8, 0.7, 0.9), "brier": Estimate(0.1, 0.05, 0.15)},
        benchmark={"roc_auc": 0.85},
        bands=(BandOutcome(band="A", leads=40, converted=20, contacted=40),),
        business={"profit": 1200.0},
        changes=(),
        mlflow_run_id="run",
        versions=(
            VersionOutcome(version="two", leads=100, converted=20, figures={"roc_auc": Estimate(0.8, 0.7, 0.9)}),
            VersionOutcome(version="one", leads=60, converted=9, figures={"roc_auc": Estimate(0.6, 0.5, 0.7)}),
        ),
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("world"))
    scored = [record(lead, score=0.1 * i, band="AB"[i % 2], channel="api") for i, lead in enumerate("abcd")]
    again = record("a", NOON + timedelta(hours=1), request_id="again", score=0.9, channel="batch", band="A")
    upload(made.predictions, [*scored, again, record("page-1", channel="trial")])
    made.tell(CONVERTED)
    history.append(made.models, evaluation())
    history.append(made.models, msgspec_later(evaluation()))
    return made


def msgspec_later(entry: Evaluation) -> Evaluation:
    """The same evaluation, made after the window."""
    import msgspec

    return msgspec.structs.replace(entry, time=NOON + timedelta(days=60))


def options(world: World) -> list[str]:
    places = {"predictions": world.predictions, "models": world.models, "leads": world.leads}
    return ["--source", str(world.source), *(part for name, at in places.items() for part in (f"--{name}", at.url))]


def asked(world: World, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    """The rows of an answer."""
    assert query.main([*arguments, *options(world), *WINDOW, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def refused(world: World, capsys: pytest.CaptureFixture[str], sql: str, code: int = 1) -> str:
    assert query.main([sql, *options(world), *WINDOW]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err


def test_the_views_have_all_records_each_lead_once_final_outcomes_and_every_figure(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(world, capsys, "select count(*) as n from predictions") == [{"n": 6}]
    leads = asked(world, capsys, "select lead_id, score, visits from leads order by lead_id")
    assert [(row["lead_id"], row["score"]) for row in leads] == [
        ("a", 0.0),
        ("b", 0.1),
        ("c", 0.2),
        ("d", pytest.approx(0.3)),
    ]
    assert {row["visits"] for row in leads} == {3.0}
    found = asked(world, capsys, "select lead_key, converted, state from outcomes order by 1")
    assert [(row["lead_key"], row["converted"]) for row in found] == list(CONVERTED.items())
    assert {row["state"] for row in found} == {"converted", "lost"}
    figures = asked(
        world, capsys, "select model_version, figure, value, at_training, converted from evaluations order by all"
    )
    assert [tuple(row.values()) for row in figures] == [
        ("one", "roc_auc", 0.6, None, 9),
        ("two", "brier", 0.1, None, 20),
        ("two", "business.profit", 1200.0, None, 20),
        ("two", "roc_auc", 0.8, 0.85, 20),
    ]


def test_every_example_answers(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert query.main(["--examples"]) == 0
    listed = capsys.readouterr().out
    answers = {name: asked(world, capsys, "--example", name) for name in EXAMPLES}
    assert all(f"{name}: " in listed and example.sql in listed for name, example in EXAMPLES.items())
    bands = [(row["band"], row["leads"], row["with_outcome"], row["converted"]) for row in answers["conversions"]]
    assert bands == [("A", 2, 2, 2), ("B", 2, 1, 0)]
    channels = [(row["channel"], row["records"]) for row in answers["channels"]]
    assert channels == [("api", 4), ("batch", 1), ("trial", 1)]
    assert [(row["model_version"], row["roc_auc"]) for row in answers["versions"]] == [("one", 0.6), ("two", 0.8)]


def test_compacted_and_raw_records_answer_alike(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = World(tmp_path)
    for key in world.predictions.keys(""):
        stored = world.predictions.read(key)
        assert stored is not None
        other.predictions.create(key, stored.data)
    places = {"predictions": other.predictions, "models": other.models, "leads": other.leads}
    assert compact.main([part for name, at in places.items() for part in (f"--{name}", at.url)]) == 0
    capsys.readouterr()
    sql = "select * exclude (time), cast(time as varchar) as time from predictions order by lead_id, time"
    assert asked(other, capsys, sql) == asked(world, capsys, sql)


def test_a_bucket_answers_as_a_folder_does(world: World, gcs_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    from service.storage import open_storage

    bucket = open_storage(f"{gcs_url}/predictions")
    upload(bucket, [record("a"), record("b")])
    assert query.main(["from leads", "--predictions", bucket.url, *WINDOW, "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_csv_is_safe_in_a_spreadsheet_and_numbers_stay_numbers(
    world: World, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    sql = """select '=1+1' as "@sum", -1.5 as n, true as t, null as none, '-12,50' as text"""
    assert query.main([sql, *options(world), *WINDOW, "--csv"]) == 0
    rows = list(csv.reader(io.StringIO(capsysbinary.readouterr().out.decode())))
    assert rows == [["'@sum", "n", "t", "none", "text"], ["'=1+1", "-1.5", "true", "", "-12,50"]]


@pytest.mark.parametrize(("rows", "cut"), [(3, True), (4, False), (5, False)])
def test_rows_are_bounded_and_a_cut_is_said(
    world: World, capsys: pytest.CaptureFixture[str], rows: int, cut: bool
) -> None:
    assert query.main(["from leads", *options(world), *WINDOW, "--json", "--rows", str(rows)]) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == min(rows, 4)
    assert ("cut after" in shown.err) == cut


def test_a_terminal_obeys_nothing_that_a_record_holds(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert query.main(["select e'\\x1b[31mred' as one, '[bold]' as other", *options(world), *WINDOW]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "[bold]" in shown


@pytest.mark.parametrize(
    ("sql", "facts"),
    [
        ("select *\nfrom leads where scroe > 1", ["line 2, column 18", '"scroe"', '"score"']),
        ("select * form leads", ["line 1, column 15", "leads"]),
        ("from customers", ["line 1, column 6", '"customers"', "evaluations"]),
        ("select sum(band) from leads", ["line 1, column 8", "sum(VARCHAR)"]),
        ("select cast(band as integer) from leads", ["line 1, column 8", "INT32"]),
        (f"select {'1, ' * 60}scroe from leads", ["line 1, column 188", '"scroe"']),
        ("select 1; select 2", ["2 statements"]),
        ("pivot leads on band using count(*)", ["PIVOT"]),
        ("-- nothing", ["scripts/query --examples"]),
    ],
)
def test_an_error_names_its_place_in_the_sql(
    world: World, capsys: pytest.CaptureFixture[str], sql: str, facts: Sequence[str]
) -> None:
    states(refused(world, capsys, sql), *facts)


def test_a_query_that_needs_too_much_memory_says_what_helps(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--days" in refused(world, capsys, "select list(repeat('x', 1000000)) from range(3000)")


def test_views_of_places_that_are_not_named_name_the_option(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    only = ["--predictions", world.predictions.url]
    for view, facts in {"outcomes": ("--source", "--leads"), "evaluations": ("--models",)}.items():
        assert query.main([f"from {view}", *only]) == 2
        states(capsys.readouterr().err, *facts)
    assert query.main(["from leads", "--predictions", "no/such/folder"]) == 2
    states(capsys.readouterr().err, "no/such/folder")


def test_without_places_it_reads_what_scripts_up_keeps(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert query.main(["from leads", "--folder", str(tmp_path)]) == 2
    states(capsys.readouterr().err, "scripts/up", "--predictions")
    up = tmp_path / "world"
    (up / "store").mkdir(parents=True)
    (up / "predictions").symlink_to(world.root / "predictions")
    (up / "leads").symlink_to(world.root / "leads")
    arguments = ["--folder", str(tmp_path), "--source", str(world.source), *WINDOW, "--json"]
    assert query.main(["from leads join outcomes using (lead_key)", *arguments]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(CONVERTED)


def test_sql_comes_from_standard_input_too(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for given in ([], ["-"]):
        monkeypatch.setattr("sys.stdin", io.StringIO("select count(*) as n from leads"))
        assert asked(world, capsys, *given) == [{"n": 4}]


@pytest.mark.parametrize(
    "arguments",
    [
        ["from leads", "--example", "versions"],
        ["from leads", "--days", "3", "--since", "2026-03-01"],
        ["from leads", "--since", "2026-03-02", "--until", "2026-03-01"],
        ["from leads", "--rows", "0"],
        ["from leads", "--csv", "--json"],
        ["--example", "none"],
    ],
)
def test_wrong_use_is_2(world: World, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        query.main([*arguments, *options(world)])
    assert ended.value.code == 2


def test_broken_lines_are_named_and_the_rest_is_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import gzip

    made = World(tmp_path)
    upload(made.predictions, [record("a")])
    made.predictions.create("predictions/dt=2026-03-01/hh=12/broken.jsonl.gz", gzip.compress(b"{}\n"))
    assert query.main(["from leads", "--predictions", made.predictions.url, *WINDOW, "--json"]) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1
    states(shown.err.splitlines(), "left out", "line 1")
