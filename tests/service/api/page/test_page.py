"""The page in a real browser: what its people see, press and hear."""

import csv
import gzip
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from service.reading.formulas import exact, safe
from service.storage import open_storage
from tests.service import forge
from tests.service.api.page.browser import chromium, heard, open_page
from tests.service.api.server import Server
from tests.service.reading.formula_cells import CELLS

pytestmark = pytest.mark.system

PATIENCE_MS = 600_000
MINUS = "\u2212"
WRITTEN = "leadscoring_records_written_total"
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("page")
    forge.release(open_storage(str(root / "store")), version="v1")
    running = Server(root)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(accept_downloads=True, viewport={"width": 1200, "height": 900})
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page of the test's own; at its end no script failed, and nothing broke the policy."""
    page = context.new_page()
    errors = heard(page)
    yield page
    assert errors == []


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def choose(page: Page, text: str | bytes, name: str = "leads.csv") -> None:
    data = text if isinstance(text, bytes) else text.encode()
    page.set_input_files("#choose", {"name": name, "mimeType": "text/csv", "buffer": data})


def scored(page: Page) -> None:
    page.locator("#start").click()
    page.wait_for_selector("#list:not([hidden])")


def rows(page: Page, table: str) -> list[list[str]]:
    found: list[list[str]] = page.eval_on_selector_all(
        f"{table} tr", "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return found


class Trying:
    """Fields and answers of "Try a lead", by the name of the column."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def field(self, name: str) -> Any:
        return self.page.locator(f'#lead [data-name="{name}"]')

    def lead(self) -> dict[str, Any]:
        """What the form holds, as the API takes it."""
        found: dict[str, Any] = {}
        for field in self.page.locator("#lead [data-name]").all():
            name, kind, text = field.get_attribute("data-name"), field.get_attribute("data-kind"), field.input_value()
            if name and text:
                found[name] = float(text) if kind == "number" else text == "true" if kind == "boolean" else text
        return found


def test_nothing_is_scored_before_a_person_does_something(page: Page, server: Server) -> None:
    before = server.metric(WRITTEN)
    open_page(page, url(server))
    expect(page.locator("#answer")).to_be_hidden()
    assert server.metric(WRITTEN) == before
    page.get_by_role("button", name="Score", exact=True).click()
    expect(page.locator("#answer")).to_be_visible()
    assert server.metric(WRITTEN) == before + 1


def test_the_score_follows_a_changed_field_and_says_what_moved_it(page: Page, server: Server) -> None:
    open_page(page, url(server))
    trying, seen = Trying(page), []
    for visits in ("14", "0"):
        trying.field("visits").fill(visits)
        answer = server.explain({"features": trying.lead()}).json()["scores"][0]
        expect(page.locator("#score")).to_have_text(f"{100 * answer['score']:.1f} %")
        expect(page.locator("#decision")).to_have_text("Contact" if answer["decision"] == "contact" else "Skip")
        expect(page.locator("#band")).to_have_text(f"Band {answer['band']}")
        sizes = [each["effect"] for each in answer["reasons"] if abs(each["effect"]) >= 0.0005]
        told = page.locator("#reasons .size").all_text_contents()
        assert told == [f"{'+' if size > 0 else MINUS}{abs(100 * size):.1f}" for size in sizes]
        assert page.locator("#reasons li").first.get_attribute("class") == ("up" if visits == "14" else "down")
        expect(page.locator("#said")).to_contain_text(f"Score {100 * answer['score']:.1f} %.")
        seen.append(answer["score"])
        headline, decision = (page.locator(each).bounding_box() for each in (".headline", "#decision"))
        assert headline is not None
        assert decision is not None
        assert headline["y"] <= decision["y"] < headline["y"] + headline["height"]
    assert seen[0] > seen[1]


def test_scores_from_the_page_are_recorded_under_the_name_that_it_tells(
    page: Page, browser: Browser, tmp_path: Path
) -> None:
    forge.release(open_storage(str(tmp_path / "store")))
    own = Server(tmp_path)
    open_page(page, url(own))
    name = page.locator("#lead-id").text_content() or ""
    assert re.fullmatch(r"page-[0-9a-f]{12}", name)
    page.locator("#typical").click()
    expect(page.locator("#answer")).to_be_visible()
    assert own.stop() == 0
    assert [record.lead_id for record in own.records()] == [name]


def test_an_empty_field_is_not_known_and_all_can_be_emptied(page: Page, server: Server) -> None:
    open_page(page, url(server))
    page.locator("#clear").click()
    expect(page.locator("#answer")).to_be_visible()
    assert Trying(page).lead() == {}
    (answer,) = server.score({"features": {}}).json()["scores"]
    expect(page.locator("#score")).to_have_text(f"{100 * answer['score']:.1f} %")
    page.locator("#typical").click()
    expect(page.locator("#reasons")).to_have_text("Nothing: in every field this lead is as good as a typical one.")


def test_a_field_that_is_no_number_is_marked_and_not_sent(page: Page, server: Server) -> None:
    open_page(page, url(server))
    before, visits = server.metric(WRITTEN), Trying(page).field("visits")
    visits.fill("3,5")
    page.get_by_role("button", name="Score", exact=True).click()
    expect(visits).to_have_attribute("aria-invalid", "true")
    hint = ": write decimals after a point, and nothing between thousands, as in 1234.5."
    expect(visits).to_have_accessible_description(f"“3,5” is not a number{hint}")
    expect(visits).to_be_focused()
    expect(page.locator("#try-error")).to_have_text("Not scored: correct the marked field.")
    assert server.metric(WRITTEN) == before
    visits.fill("1.234.567,5")
    expect(visits).to_have_accessible_description(f"“1.234.567,5” is not a number{hint}")
    visits.fill("many")
    expect(visits).to_have_accessible_description("“many” is not a number.")
    visits.fill("1234567.5")
    expect(page.locator("#answer")).to_be_visible()
    expect(page.locator("#reasons")).to_contain_text("Visits: 1,234,567.5")
    expect(page.locator("#try-error")).to_be_hidden()
    expect(visits).not_to_have_attribute("aria-invalid", "true")


def test_a_field_that_the_service_refuses_is_marked(page: Page, server: Server) -> None:
    open_page(page, url(server))

    def spoil(route: Route) -> None:
        lead = {"lead_id": "x", "features": {"days.since contact": "many", "visits": 3}}
        route.continue_(post_data=json.dumps({"leads": [lead]}))

    page.route("**/v1/score?explain=true", spoil)
    page.locator("#typical").click()
    field = Trying(page).field("days.since contact")
    expect(field).to_have_accessible_description("Input should be a valid number.")
    expect(Trying(page).field("visits")).not_to_have_attribute("aria-invalid", "true")


def test_an_ended_session_and_a_service_away_are_told(page: Page, server: Server) -> None:
    open_page(page, url(server))
    page.route("**/v1/score?explain=true", lambda route: route.fulfill(status=401, body="Unauthorized"))
    page.locator("#typical").click()
    expect(page.locator("#try-error")).to_contain_text("no longer signed in. Reload the page to sign in again.")
    page.unroute("**/v1/score?explain=true")
    page.route("**/v1/score?explain=true", lambda route: route.abort())
    page.locator("#typical").click()
    expect(page.locator("#try-error")).to_contain_text("The service cannot be reached.")


def test_an_answer_without_a_line_as_during_a_roll_out_shows_the_threshold(page: Page, server: Server) -> None:
    """An instance of a release before contact rules answers so."""

    def older(route: Route) -> None:
        answer = route.fetch().json()
        del answer["line"]
        route.fulfill(json=answer)

    page.route("**/v1/score?explain=true", older)
    open_page(page, url(server))
    page.locator("#typical").click()
    threshold = 100 * page.request.get(f"{url(server)}/v1/model").json()["threshold"]
    expect(page.locator("#meaning")).to_contain_text(
        f"Worth contacting from {threshold:.1f} % on, the mark on the bar."
    )
    assert page.locator("#threshold").get_attribute("style") == f"left: {threshold:g}%;"


def test_a_new_model_is_told(page: Page, tmp_path: Path) -> None:
    forge.release(open_storage(str(tmp_path / "store")), version="v1")
    own = Server(tmp_path)
    try:
        open_page(page, url(own))
        forge.release(own.models, seed=2, version="v2")
        own.wait(lambda: own.version() == "v2")
        page.locator("#typical").click()
        expect(page.get_by_role("alert").first).to_have_text(
            "A new model, v2, is in service. Reload the page to see it."
        )
    finally:
        own.stop()


FILE = (
    "\ufeffLead_ID;Company;visits;days.since contact;opted_in;industry\r\n"
    'L1;"Smith; Sons";2;3.5;Ja;retail\r\n'
    'L2;"The ""Best"" Ltd";14;999;TRUE;health\r\n'
    ";Without an id;3;;;\r\n"
    'L4;"two\nlines";7;1e1;Nein; Never Seen\r\n'
    "\r\n"
    "L5;=cmd();n/a;;;\r\n"
    "L6;Many;many;;;\r\n"
    "Total;;26;;;\r\n"
)
FEATURES: dict[str, dict[str, Any]] = {
    "L1": {"visits": 2, "days.since contact": 3.5, "opted_in": True, "industry": "retail"},
    "L2": {"visits": 14, "days.since contact": 999, "opted_in": True, "industry": "health"},
    "L4": {"visits": 7, "days.since contact": 10, "opted_in": False, "industry": "Never Seen"},
    "L5": {},
}


def test_a_file_becomes_a_list_with_the_best_first_and_is_given_back_whole(page: Page, server: Server) -> None:
    open_page(page, url(server), "file")
    choose(page, FILE)
    expect(page.locator("#checked-title")).to_be_focused()
    assert page.locator("#facts li").all_text_contents() == [
        "6 rows to score.",
        "4 of the 5 columns that the model reads are there.",
        "Not there, so not known: “region”.",
        "Kept, but not read by the model: “Lead_ID”, “Company”.",
        "Read as UTF-8 text with the delimiter “;”.",
        "Left out because nothing is in them: 1 row.",
    ]
    scored(page)
    answers = server.explain(*({"features": features} for features in FEATURES.values())).json()["scores"]
    scores = {name: answer["score"] for name, answer in zip(FEATURES, answers, strict=True)}
    order = sorted(FEATURES, key=lambda name: -scores[name])
    listed = rows(page, "#list-rows")
    assert [row[1] for row in listed] == order
    companies = {"L1": "Smith; Sons", "L2": 'The "Best" Ltd', "L4": "two\nlines", "L5": "=cmd()"}
    assert [row[2] for row in listed] == [companies[name] for name in order]
    assert [row[3] for row in listed] == [f"{100 * scores[name]:.1f} %" for name in order]
    assert [row[5] for row in listed] == ["Contact" if scores[name] >= 0.4 else "Skip" for name in order]
    assert [row[6] for row in listed] == [f"{100 * scores[name] - 10:,.2f}" for name in order]
    assert listed[0][7].startswith("Visits is 14: more than most, raises the score")
    with page.expect_download() as download:
        page.locator("#download").click()
    assert download.value.suggested_filename == "leads-best-first.csv"
    written = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8-sig"), newline=""), delimiter=";"))
    assert [row["Lead_ID"] for row in written] == [*order, "", "L6", "Total"]
    best, left = written[:4], written[4:]
    assert [row["Company"] for row in best] == [companies[name].replace("=cmd()", "'=cmd()") for name in order]
    assert [float(row["score"]) for row in best] == pytest.approx([scores[name] for name in order])
    assert [float(row["expected_value"]) for row in best] == [round(100 * scores[name] - 10, 2) for name in order]
    assert best[0]["reason_1"] == "Visits is 14: more than most, raises the score"
    assert {row["model_version"] for row in best} == {"v1"}
    assert [row["score"] for row in left] == ["", "", ""]
    assert [row["left_out"] for row in left] == [
        "row 4: Lead_ID: names no lead, or one of more than 200 characters",
        "row 8: visits: 'many' is no number",
        "row 9: is a total or a line below the table, no lead",
    ]


def test_other_columns_of_the_file_can_be_shown_and_another_one_can_name_the_leads(page: Page, server: Server) -> None:
    open_page(page, url(server), "file")
    choose(page, "visits,deal,a,b,c\n1,D1,x,y,z\n")
    expect(page.locator("#start")).to_have_text("Score 1 lead")
    page.locator("#id-column").select_option(label="deal")
    scored(page)
    (heads,) = rows(page, "#list-heads")
    assert heads == ["Rank", "Lead", "a", "b", "c", "Score", "Band", "Decision", "Expected value", "Why"]
    assert rows(page, "#list-rows")[0][1] == "D1"
    for place, label in (("1", "c"), ("2", "nothing"), ("3", "visits")):
        page.locator(f"#show-{place}").select_option(label=label)
    (heads,) = rows(page, "#list-heads")
    assert heads[2:5] == ["c", "visits", "Score"]
    assert rows(page, "#list-rows")[0][2:4] == ["z", "1"]


def test_wrong_cells_are_named_by_row_and_column_and_the_other_rows_scored(page: Page, server: Server) -> None:
    open_page(page, url(server), "file")
    choose(
        page,
        f"visits,opted_in,industry\n1,true,a\nmany,maybe,b\n\n2,false\n3,,{'x' * 1001}\n4,false,c\n1e101,,\n5,no,b\n",
    )
    expect(page.locator("#wrong-title")).to_have_text("4 rows cannot be scored")
    assert rows(page, "#wrong-rows") == [
        ["3", "visits", "'many' is no number"],
        ["3", "opted_in", "'maybe' is neither true nor false"],
        ["5", "(all)", "has 2 cells where the header has 3"],
        ["6", "industry", f"'{'x' * 40}' is longer than 1000 characters"],
        ["8", "visits", "'1e101' is no number"],
    ]
    scored(page)
    expect(page.locator("#wrong-title")).to_have_text("4 rows left out")
    assert len(rows(page, "#list-rows")) == 3


def test_a_column_that_is_unlike_training_is_told_before_anything_is_scored(page: Page, server: Server) -> None:
    open_page(page, url(server), "file")
    choose(page, "visits,industry\n" + "3,Einzelhandel\n" * 30)
    expect(page.locator("#unlike")).to_contain_text("“industry”: 30 of 30 filled cells hold nothing that training saw")
    choose(page, "visits,industry\n" + "3,RETAIL\n" * 30)
    expect(page.locator("#unlike")).to_be_hidden()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "The file is empty."),
        (b"\xef\xbb\xbf \r\n", "is one column"),
        (b"visits,industry\n", "The file has column names and no leads."),
        (b"a,b\n1,2\n", "none of the model's columns is there; it reads 'visits'"),
        (b'visits,industry\n1,"retail\n', "Row 2: a quote is opened and never closed."),
        (b"PK\x03\x04xl/workbook.xml", "The file is a workbook or a ZIP archive; save the sheet as CSV, or unpack it."),
        (b"%PDF-1.7", "The file is a PDF document; export the leads as CSV."),
        (b"visits,industry\n1,re\0tail\n", "holds a NUL byte"),
        (b"\x1f\x8b\x08broken", "leads.csv is a broken gzip file: fetch it again."),
    ],
)
def test_a_file_that_is_no_list_of_leads_is_refused(page: Page, server: Server, text: bytes, said: str) -> None:
    open_page(page, url(server), "file")
    choose(page, text)
    expect(page.locator("#file-error")).to_contain_text(said)
    expect(page.locator("#checked")).to_be_hidden()
    choose(page, "visits,x\n1,2\n")  # and the page goes on
    expect(page.locator("#start")).to_have_text("Score 1 lead")
    expect(page.locator("#file-error")).to_be_hidden()


def test_a_file_of_another_encoding_or_packed_is_read(page: Page, server: Server) -> None:
    open_page(page, url(server), "file")
    text = "Name\tvisits\nMüller\t3\n"
    for data, name in (
        (text.encode("cp1252"), "Windows-1252"),
        (text.encode("utf-16"), "UTF-16"),
        (gzip.compress(text.encode("utf-16-be")), "UTF-16"),
    ):
        choose(page, data)
        expect(page.locator("#facts")).to_contain_text(f"Read as {name} text with the delimiter tab.")
        scored(page)
        assert rows(page, "#list-rows")[0][2] == "Müller"


def test_the_file_can_be_dropped(page: Page, server: Server) -> None:
    open_page(page, url(server), "try")
    dropped = page.evaluate_handle(
        "() => { const data = new DataTransfer(); "
        "data.items.add(new File(['visits,x\\n3,1\\n'], 'dropped.csv')); return data }"
    )
    page.dispatch_event("body", "drop", {"dataTransfer": dropped})
    expect(page.locator("#checked-title")).to_have_text("dropped.csv")
    expect(page.locator("#file")).to_be_visible()


def test_expected_value_follows_the_slider(page: Page, server: Server) -> None:
    leads = [{"visits": i % 15, "opted_in": i % 2 == 0} for i in range(200)]
    text = "visits,opted_in\n" + "".join(f"{lead['visits']},{str(lead['opted_in']).lower()}\n" for lead in leads)
    scores = sorted(s["score"] for s in server.score(*({"features": lead} for lead in leads)).json()["scores"])[::-1]
    open_page(page, url(server), "file")
    choose(page, text)
    scored(page)

    def told() -> list[str]:
        return page.locator("#worth dd").all_text_contents()

    pays = sum(score >= 0.4 for score in scores)
    expect(page.locator("#contacts")).to_have_value(str(pays))  # the team can contact all
    for count in (pays, 50, 0, 200):
        page.locator("#contacts-number").fill(str(count))
        value = 100 * sum(scores[:count]) - 10 * count
        at_random = count * (100 * sum(scores) - 10 * 200) / 200
        assert told()[:2] == [f"{value:,.0f}", f"{at_random:,.0f}"]
        expect(page.locator("#contacts")).to_have_attribute("aria-valuetext", re.compile(f"^{count} lead"))
        assert page.locator("#list-rows tr:not(.beyond)").count() == min(count, 100)
    page.locator("#contacts").fill("51")
    expect(page.locator("#contacts-number")).to_have_value("51")


def test_ten_thousand_rows_stay_usable_and_can_be_stopped(page: Page, server: Server) -> None:
    regions = ("north", "south")
    text = "lead_id,visits,days.since contact,opted_in,industry,region\n" + "".join(
        f"L{i},{i % 17},{i % 90}.5,{'true' if i % 3 else 'false'},retail,{regions[i % 2]}\n" for i in range(10_000)
    )
    before = server.metric(WRITTEN)
    open_page(page, url(server), "file")
    choose(page, text)
    expect(page.locator("#start")).to_have_text("Score 10,000 leads")
    page.locator("#start").click()
    expect(page.locator("#progress-text")).to_contain_text("of 10,000 scored")
    page.locator("#stop").click()
    expect(page.locator("#start")).to_contain_text("Go on with the other")
    assert before < server.metric(WRITTEN) < before + 10_000
    scored(page)
    # The request that was under way when it was stopped may have been scored twice.
    assert 10_000 <= server.metric(WRITTEN) - before <= 10_100
    assert len(rows(page, "#list-rows")) == 100
    page.locator("#more").click()
    listed = rows(page, "#list-rows")
    assert len(listed) == 200
    expect(page.locator("#shown")).to_have_text("200 of 10,000 shown; the download has all")
    page.locator("#contacts-number").fill("1234")
    expect(page.locator("#contacts")).to_have_value("1234")
    with page.expect_download() as download:
        page.locator("#download").click()
    written = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8-sig"))))
    assert len({row["lead_id"] for row in written}) == 10_000
    scores = [float(row["score"]) for row in written]
    assert {row["decision"] for row in written} == {"contact", "skip"}
    assert scores == sorted(scores, reverse=True)
    assert [row["lead_id"] for row in written[:200]] == [row[1] for row in listed]


def test_a_busy_service_is_asked_again(page: Page, server: Server) -> None:
    open_page(page, url(server), "file")
    answered: list[int] = []

    def busy_once(route: Route) -> None:
        answered.append(1)
        if len(answered) == 1:
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"title": "try again", "status": 503})
        else:
            route.continue_()

    page.route("**/v1/score/cells*", busy_once)
    choose(page, "visits,x\n1,2\n")
    scored(page)
    assert len(answered) == 2


def test_a_refused_request_can_be_gone_on_with(page: Page, server: Server) -> None:
    open_page(page, url(server), "file")

    def spoil(route: Route) -> None:
        body = json.loads(route.request.post_data or "")
        route.continue_(post_data=json.dumps({**body, "id_column": "not there"}))

    page.route("**/v1/score/cells*", spoil)
    choose(page, "visits,x\n1,2\n\n2,3\n")
    page.locator("#start").click()
    expect(page.locator("#file-error")).to_contain_text("Stopped after 0 leads: no lead scored")
    expect(page.locator("#file-error")).to_contain_text("id_column: no column is called 'not there'")
    page.unroute("**/v1/score/cells*")
    scored(page)
    assert len(rows(page, "#list-rows")) == 2


def test_all_can_be_done_with_the_keyboard_alone(page: Page, server: Server) -> None:
    press = page.keyboard.press
    # From here on, for whoever begins to listen just before the key may be too late to see the dialogue.
    page.on("filechooser", lambda _: None)
    page.goto(url(server))
    page.wait_for_selector("html[data-ready]")

    def tab_to(selector: str, most: int = 40) -> None:
        for _ in range(most):
            press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
                around = page.evaluate("() => getComputedStyle(document.activeElement.parentElement).outlineStyle")
                assert {outline, around} & {"solid", "auto"}, f"no focus is seen on {selector}"
                return
        pytest.fail(f"{selector} is not reached")

    press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    tab_to('[data-name="visits"]')
    page.keyboard.type("1")
    press("Enter")
    expect(page.locator("#answer")).to_be_visible()
    page.goto(url(server))
    page.wait_for_selector("html[data-ready]")
    tab_to('nav a[href="#file"]')
    press("Enter")
    expect(page.locator("#file")).to_be_visible()
    expect(page.locator('nav a[href="#file"]')).to_have_attribute("aria-current", "page")
    expect(page).to_have_title("Score a file | Lead scoring")
    tab_to("#choose")
    with page.expect_file_chooser() as chooser:
        press("Enter")
    chooser.value.set_files({"name": "k.csv", "mimeType": "text/csv", "buffer": b"visits,x\n1,1\n9,1\n14,1\n"})
    expect(page.locator("#checked-title")).to_be_focused()
    tab_to("#start")
    press("Enter")
    expect(page.locator("#list-title")).to_be_focused()
    tab_to("#contacts")
    before = page.locator("#contacts").input_value()
    press("ArrowLeft")
    expect(page.locator("#contacts")).to_have_value(str(int(before) - 1))
    tab_to("#download")
    with page.expect_download():
        press("Enter")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_of(page: Page, server: Server, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    open_page(page, url(server))
    trying = Trying(page)
    trying.field("visits").fill("many")
    page.locator("#lead button[type=submit]").click()
    expect(page.locator("#try-error")).to_be_visible()
    _accessible(page)
    trying.field("visits").fill("14")
    expect(page.locator("#answer")).to_be_visible()
    _accessible(page)
    page.locator('nav a[href="#file"]').click()
    page.locator("#file summary").first.click()
    choose(page, "visits,company\n1,a\nmany,b\n14,c\n")
    expect(page.locator("#wrong")).to_be_visible()
    _accessible(page)
    scored(page)
    _accessible(page)
    page.locator('nav a[href="#model"]').click()
    page.locator("#model summary").last.click()
    _accessible(page)


def _accessible(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in found] == []


def test_it_fits_a_telephone(browser: Browser, server: Server) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    try:
        for view in ("try", "file", "model"):
            open_page(page, url(server), view)
            assert page.evaluate("() => document.documentElement.scrollWidth") <= 360, view
    finally:
        page.close()


def test_on_a_phone_the_score_stays_in_view_while_the_last_field_changes(browser: Browser, server: Server) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 400})
    page.set_default_timeout(PATIENCE_MS)
    try:
        open_page(page, url(server))
        field = Trying(page).field("region")
        field.evaluate("field => field.scrollIntoView({ block: 'center' })")
        field.select_option("south")
        expect(page.locator("#answer")).to_be_visible()
        assert page.evaluate("() => scrollY") > 0
        for place, name in (("now-score", "score"), ("now-decision", "decision"), ("now-band", "band")):
            box = page.locator(f"#{place}").bounding_box()
            assert box is not None
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= 400
            assert page.locator(f"#{place}").text_content() == page.locator(f"#{name}").text_content()
    finally:
        page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_no_number_beside_a_chart_is_cut_however_large(browser: Browser, server: Server, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.set_default_timeout(PATIENCE_MS)
    try:

        def rich(route: Route) -> None:
            model = route.fetch().json()
            model["economics"] = {"conversion_value": 1e10, "contact_cost": 5e9, "contacts_per_1000_leads": 300}
            route.fulfill(json=model)

        page.route("**/v1/model", rich)
        open_page(page, url(server), "file")
        choose(page, "visits,x\n" + "".join(f"{i % 15},1\n" for i in range(300)))
        scored(page)
        cut = """() => [...document.querySelectorAll('#worth-chart text')].filter((text) => {
            const [inner, outer] = [text.getBoundingClientRect(), text.ownerSVGElement.getBoundingClientRect()];
            return inner.left < outer.left || inner.right > outer.right || inner.height < 11;
        }).map((text) => text.textContent)"""
        assert page.evaluate("() => document.querySelectorAll('#worth-chart text').length") > 4
        assert page.evaluate(cut) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    finally:
        page.close()


def test_without_javascript_the_model_can_be_read(browser: Browser, server: Server) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(url(server))
        expect(page.locator("noscript p")).to_be_visible()
        page.locator('nav a[href="#model"]').click()
        expect(page.locator("#model")).to_be_visible()
        expect(page.locator("#try")).to_be_hidden()
        expect(page.get_by_role("img", name=re.compile("^ROC"))).to_be_visible()
    finally:
        context.close()


@pytest.mark.parametrize(
    ("text", "delimiter", "expected"),
    [
        ("a,b\n1,2\n", ",", [["a", "b"], ["1", "2"]]),
        ("a,b\r\n1,2", ",", [["a", "b"], ["1", "2"]]),
        ("a,b\r1,\r", ",", [["a", "b"], ["1", ""]]),
        ('a;b\n"x;""y""\n";', ";", [["a", "b"], ['x;"y"\n', ""]]),
        ("a\tb\n\n1\t2\n", "\t", [["a", "b"], [""], ["1", "2"]]),
        ('a|b\n5" disk|1\n', "|", [["a", "b"], ['5" disk', "1"]]),
        ('a,b\n"19" rack",1\n', ",", [["a", "b"], ['19 rack"', "1"]]),
        (",\n,", ",", [["", ""], ["", ""]]),
    ],
)
def test_csv_is_cut_as_spreadsheets_write_it(
    page: Page, server: Server, text: str, delimiter: str, expected: list[list[str]]
) -> None:
    open_page(page, url(server))
    read = "async ([text, mark]) => (await import('/page/csv.js')).parse(text, mark)"
    assert page.evaluate(read, [text, delimiter]) == expected
    assert [row or [""] for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)] == expected


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_that_is_written_can_be_read_and_runs_nothing(page: Page, server: Server, delimiter: str) -> None:
    open_page(page, url(server))
    cells = [
        "plain",
        'with "quotes"',
        "a,b;c\td|e",
        "two\nlines",
        "",
        "=1+1",
        "+49 30",
        "-12,5",
        "-2+3",
        "@x",
        "\tx",
        "'=x",
    ]
    write = "async ([cells, mark]) => (await import('/page/csv.js')).line(cells, mark)"
    line = page.evaluate(write, [cells, delimiter])
    (found,) = csv.reader(io.StringIO(line, newline=""), delimiter=delimiter)
    assert found == [safe(cell) for cell in cells]
    assert [exact(cell) for cell in found] == cells


def test_cells_are_made_safe_by_the_rule_of_the_jobs_files(page: Page, server: Server) -> None:
    open_page(page, url(server))
    made = page.evaluate(
        "async (cells) => { const { safe } = await import('/page/csv.js'); return cells.map(safe); }",
        [cell for cell, _ in CELLS],
    )
    assert made == [written for _, written in CELLS]


def test_the_pictures_are_of_every_view_in_light_and_dark(server: Server, tmp_path: Path) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text("lead_id,visits\nL1,1\nL2,14\n")
    ended = _pictures("--leads", str(leads), "--url", url(server), "--out", str(tmp_path / "out"))
    assert ended.returncode == 0, ended.stderr
    schemes = ("light", "dark", "light-phone", "dark-phone")
    names = {f"{view}-{scheme}.png" for view in ("try", "file", "model") for scheme in schemes}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (tmp_path / "out").iterdir())
    assert len(ended.stdout.splitlines()) == 12


def test_pictures_of_no_service_fail(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_text("visits\n1\n")
    ended = _pictures("--leads", str(tmp_path / "leads.csv"), "--url", "http://127.0.0.1:9")
    assert ended.returncode == 1
    assert "scripts/up starts a service" in ended.stderr


def _pictures(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: two of Playwright's loops do not go together."""
    command = [sys.executable, "-m", "tests.service.api.page.pictures", *arguments]
    root = Path(__file__).parents[4]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
