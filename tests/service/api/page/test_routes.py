import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from service.api.page import routes, view
from service.history import Decision, append
from service.model.agreement import Agreement
from service.model.bundle import LeakFinding, LeakReport, Skill, load
from service.model.reference import Numbers, ScoreBin
from service.model.schema import Feature, LeadSchema
from service.model.words import label
from service.storage import open_storage
from tests.service import forge
from tests.service.api.server import Server

STATIC = Path(routes.__file__).parent / "static"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("page")
    forge.release(open_storage(str(root / "store")), version="v1")
    running = Server(root)
    yield running
    running.stop()


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_runs_nothing_but_its_own_files(server: Server) -> None:
    answer = server.http.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    for tag, attributes in Tags(answer.text).found:
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert tag != "script" or attributes.get("src") == "page/page.js"
        assert not re.match(r"https?:|//", attributes.get("src") or attributes.get("href") or "")


@pytest.mark.parametrize("file", sorted(p.name for p in STATIC.iterdir()))
def test_its_files_are_served_with_their_type_and_guarded(server: Server, file: str) -> None:
    answer = server.http.get(f"/page/{file}")
    assert answer.status_code == 200
    assert answer.content == (STATIC / file).read_bytes()
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    assert answer.headers["content-type"].startswith(kinds[Path(file).suffix])
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = server.http.get(f"/page/{file}", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_no_other_file_is_served(server: Server) -> None:
    for path in ("/page/", "/page/../routes.py", "/page/%2e%2e/routes.py", "/page/none.js"):
        assert server.http.get(path).status_code in (404, 405), path


def test_every_field_of_the_schema_has_a_labelled_input(server: Server) -> None:
    tags = Tags(server.http.get("/").text).found
    inputs = {a["data-name"]: (tag, a) for tag, a in tags if "data-name" in a}
    assert list(inputs) == list(forge.LEAD)
    labelled = {a["for"] for tag, a in tags if tag == "label"}
    assert {a["id"] for _, a in inputs.values()} <= labelled
    assert [inputs[name][0] for name in forge.LEAD] == ["input", "input", "select", "select", "select"]
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids))


def test_a_category_offers_the_values_that_are_known_and_none_that_mean_missing(server: Server) -> None:
    text = server.http.get("/").text
    for value in ("retail", "health", "energy", "north", "south"):
        assert f'<option value="{value}"' in text
    assert '<option value="unknown"' not in text


def test_what_the_bundle_holds_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>"
    schema = LeadSchema(features=(*forge.SCHEMA.features, Feature(name=evil, kind="number")))
    models = open_storage(str(tmp_path / "store"))
    forge.release(models, version="v1", schema=schema)
    entry = Decision(
        time=datetime.now(UTC),
        action="refused",
        trigger="drift",
        version="v0",
        before=None,
        author=evil,
        reason=evil,
    )
    append(models, entry)
    server = Server(tmp_path)
    try:
        text = server.http.get("/").text
        assert text.count("<script") == 1
        assert text.count("&lt;script&gt;") >= 4
        assert "for drift" in text
    finally:
        server.stop()


def test_before_a_first_model_the_page_says_so_and_looks_again(tmp_path: Path) -> None:
    server = Server(tmp_path, ready=False)
    try:
        answer = server.http.get("/")
        assert answer.status_code == 503
        assert "No model is in service yet" in answer.text
        assert 'http-equiv="refresh"' in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    finally:
        server.stop()


def test_while_the_models_storage_is_away_the_page_says_so_and_scores(tmp_path: Path) -> None:
    forge.release(open_storage(str(tmp_path / "store")), version="v1")
    server = Server(tmp_path)
    try:
        shutil.move(tmp_path / "store", tmp_path / "aside")
        (tmp_path / "store").write_text("no folder")
        answer = server.http.get("/")
        assert answer.status_code == 200
        assert "The history cannot be read now." in answer.text
        assert server.score({"features": {}}).status_code == 200
    finally:
        server.stop()


def test_the_history_is_told(server: Server) -> None:
    text = server.http.get("/").text
    assert "In service since" in text
    assert "a test: test" in text
    assert "Not evaluated yet" in text


def test_a_refused_newer_model_is_told(tmp_path: Path) -> None:
    forge.release(open_storage(str(tmp_path / "store")), version="v1")
    server = Server(tmp_path)
    try:
        forge.point(server.models, "v9", "0" * 64)
        server.wait(lambda: server.http.get("/v1/model").json()["refused"])
        assert "A newer model was refused, and this one stays in service." in server.http.get("/").text
    finally:
        server.stop()


def test_the_page_needs_the_proxys_word_as_the_api_does(tmp_path: Path) -> None:
    (tmp_path / "audience").write_text("/projects/1/global/backendServices/2")
    forge.release(open_storage(str(tmp_path / "store")), version="v1")
    server = Server(tmp_path, iap_audience_file=tmp_path / "audience", iap_keys_url="http://127.0.0.1:9/")
    try:
        for path in ("/", "/page/page.js"):
            assert server.http.get(path).status_code == 401, path
    finally:
        server.stop()


def test_the_page_counts_as_one_route(server: Server) -> None:
    sample = 'leadscoring_requests_total{method="GET",route="/",status="200"}'
    before = server.metric(sample)
    server.http.get("/")
    assert server.metric(sample) == before + 1


def test_the_model_tells_its_limits(server: Server) -> None:
    limits = server.http.get("/v1/model").json()["limits"]
    assert limits == {"max_leads": 1_000, "max_body_bytes": 4_000_000, "max_explained": 100}


@pytest.mark.parametrize(
    ("name", "shown"),
    [("lead_source", "Lead source"), ("emp.var.rate", "Emp var rate"), ("days.since contact", "Days since contact")],
)
def test_a_column_is_labelled_as_people_write(name: str, shown: str) -> None:
    assert label(name) == shown


def test_figures_are_written_as_they_are_read() -> None:
    assert view.figure(0.1234, "precision") == "12.3 %"
    assert view.figure(30_524.9, "profit") == "30,525"
    assert view.figure(0.80123, "roc_auc") == "0.801"


def test_the_form_starts_with_numbers_that_people_write(tmp_path: Path) -> None:
    models = open_storage(str(tmp_path))
    bundle = load(models, forge.release(models))
    large = Numbers(name="visits", edges=(), means=(23_700_000.0,), counts=(600,), missing=0)
    reference = bundle.reference.model_copy(update={"features": (large, *bundle.reference.features[1:])})
    assert float(view.fields(replace(bundle, reference=reference))[0].typical) == 23_700_000
    assert "e" not in view.fields(replace(bundle, reference=reference))[0].typical


def test_a_band_says_which_leads_it_has_and_how_many_converted(tmp_path: Path) -> None:
    models = open_storage(str(tmp_path))
    bundle = load(models, forge.release(models))
    bins = (
        ScoreBin(score=0.1, leads=50, converted=5),
        ScoreBin(score=0.3, leads=30, converted=9),
        ScoreBin(score=0.8, leads=20, converted=16),
    )
    reference = bundle.reference.model_copy(update={"calibration": bins})
    shown = view.band_rows(replace(bundle, reference=reference))
    assert [tuple(text.replace("\u00a0", " ") for text in row) for row in shown] == [
        ("A", "60.0 % and more", "about 20 %", "80 %"),
        ("B", "30.0 % to 60.0 %", "about 30 %", "30 %"),
        ("C", "below 30.0 %", "about 50 %", "10 %"),
    ]


def test_the_model_carries_its_verdicts(tmp_path: Path) -> None:
    models = open_storage(str(tmp_path))
    manifest = load(models, forge.release(models)).manifest
    figures = (0.52, 0.45, 0.6)
    skill = Skill(roc_auc=0.5, roc_auc_at_least=0.4, held_out_roc_auc=figures, gain_over_everyone=1, gain_over_random=1)
    finding = LeakFinding(columns=("signed_on",), why="after", likely=True, is_input=True, alone=0.99)
    agreement = Agreement(metric="profit", metric_reason="it pays", agreed_by="A. B.", agreed_on=date(2026, 1, 2))

    def said(**update: object) -> tuple[bool, str]:
        (verdict,) = view.verdicts(manifest.model_copy(update=update))
        return verdict.good, verdict.answer

    assert view.verdicts(manifest) == []
    assert said(skill=skill)[0]
    assert said(skill=skill.model_copy(update={"doubts": ("by chance",)})) == (
        False,
        "Not shown, for the reasons above.",
    )
    assert said(leaks=LeakReport()) == (True, "No sign of it.")
    good, answer = said(leaks=LeakReport(findings=(finding,), lines=("signed_on: tells it",)))
    assert not good
    assert "“signed_on”" in answer
    assert said(agreement=agreement) == (True, "Yes, on Profit per 1,000 leads: A. B., 2 Jan 2026. it pays")
    good, answer = said(agreement=Agreement(metric="profit"))
    assert not good
    assert answer.startswith("Not agreed on")
