"""Scores lead exports by the page, scripts/score, the batch job and the API, and prints whether all give one score.

    LEAD_EXPORTS=... python -m tests.service.api.page.same_scores [NAME ...]

Each export is trained on, served on loopback, uploaded as the page does it, and scored as a file; the API gets its
cells as JSON. A row is the same where its id and its score are; a row that one of them leaves out, all leave out.

exit status: 0 all are the same, 1 an export differs, 2 LEAD_EXPORTS is not set
"""

import csv
import gzip
import io
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser
from rich.console import Console

from service.lifecycle import batch
from service.lifecycle.data.form import form_of
from service.lifecycle.data.leads import load
from service.lifecycle.data.source import Source, SourceError
from service.lifecycle.evaluation.labelled import LabelledLeads
from service.lifecycle.evaluation.quality import figures
from service.lifecycle.score import score
from service.lifecycle.scoring.batch_scoring import FileJob
from service.lifecycle.scoring.for_people import Wish
from service.lifecycle.training import registration, selection
from service.lifecycle.training.candidates import candidates
from service.model.bundle import Bundle, Pointer, move_pointer
from service.model.bundle import load as load_bundle
from service.reading.decoding import as_utf8
from service.reading.dialect import layout_of
from service.reading.ids import as_id
from service.storage import Storage, open_storage
from tests.service.api.page.browser import chromium, heard, open_page
from tests.service.api.server import Server
from tests.service.lifecycle.data import exports

NAMES = [
    *("base", "bom", "bool_TRUE", "bool_checked", "bool_ja", "bool_mixed", "case_variants", "cp1252", "date_de"),
    *("de_decimal_comma_thousands", "de_plain", "de_totals", "emoji", "eur_suffix", "footer_confidential"),
    *("formula_ids", "hash_na", "ids_zeros", "mixed_eol", "multiselect", "nbsp", "neg_unicode", "none_null"),
    *("numbers_na15", "percent", "quote_in_plain", "quoted_newlines", "rev_int_unique", "sep_line", "us_thousands"),
    *("usd", "utf16le_tab"),
]
FEW = ("de_decimal_comma_thousands", "footer_confidential", "utf16le_tab")
"""Those that a normal run of the tests scores."""
EXACT = 1e-12

Scores = list[tuple[str, float]]


class Compared(NamedTuple):
    """An export's scores by `scripts/score`, and whether the others give the same."""

    name: str
    scored: int
    page: str
    batch: str
    api: str

    @property
    def same(self) -> bool:
        """Whether all are the same, and some row was scored."""
        return self.scored > 0 and (self.page, self.batch, self.api) == ("yes", "yes", "yes")


def compare(folder: Path, name: str, browser: Browser) -> Compared:
    """Train on the export and score it in all ways."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        path = root / f"{name}.csv"
        path.write_bytes(gzip.decompress((folder / f"{name}.csv.gz").read_bytes()))
        models = open_storage(str(root / "store"))
        source = exports.source(folder, name, path)
        bundle = train(source, models)
        by_command = from_file(path, bundle, root / "scores.csv")
        server = Server(root)
        try:
            by_page = from_page(browser, f"http://127.0.0.1:{server.port}", path, str(source.id_column))
            by_api = from_api(server, path)
        finally:
            server.stop()
        others = (by_page, from_batch(path, bundle, root), by_api)
        return Compared(name, len(by_command), *(difference(by_command, each) for each in others))


def train(source: Source, models: Storage) -> Bundle:
    """Fit one quick candidate, publish and point to it: a training without a comparison of candidates and MLflow."""
    leads, name = load(source), "logistic_regression"
    parts = selection.split(leads)
    frame, unseen = leads.frame.iloc[parts.train], leads.frame.iloc[parts.held_out]
    pipeline, target = candidates(leads.schema, frame)[name], leads.target[parts.held_out]
    scores, money = selection.fit(pipeline, frame, leads.target[parts.train], unseen), source.economics
    held_out = {name: figures(target, scores, money.threshold, money)}
    choices = tuple(selection.choices(target, scores, money))
    chosen = selection.Selection(name, pipeline, parts, target, scores, money.threshold, held_out, held_out, choices)
    seen = LabelledLeads.whole(leads).seen()
    ready = registration.prepare(source, leads, chosen, seen, "none", datetime.now(UTC))
    pointer = Pointer(
        version=ready.manifest.version,
        sums_sha256=registration.publish(models, ready),
        moved_at=datetime.now(UTC),
        moved_by="a test",
        reason="a comparison of scores",
    )
    move_pointer(models, pointer, None)
    return load_bundle(models, pointer)


def from_file(path: Path, bundle: Bundle, out: Path) -> Scores:
    """As `scripts/score` writes them, without the lead source."""
    job = FileJob(bundle, form_of(None, None, bundle.manifest.id_column), 1, Wish(reasons=False))
    score(path, out, job, Console(file=io.StringIO()))
    return written(out.read_text("utf-8-sig"))


def from_batch(path: Path, bundle: Bundle, root: Path) -> Scores:
    """As the batch job writes them."""
    (root / "in").mkdir()
    (root / "in" / path.name).write_bytes(path.read_bytes())
    leads, out = open_storage(str(root / "in")), open_storage(str(root / "out"))
    form = form_of(None, None, bundle.manifest.id_column)
    batch.run(batch.BatchJob(FileJob(bundle, form, 1), leads, out, "csv", say=lambda _: None))
    (key,) = (key for key in out.keys("") if key.endswith(".csv"))
    stored = out.read(key)
    assert stored is not None
    return written(stored.data.decode())


def from_api(server: Server, path: Path) -> Scores:
    """As a program gets them that sends the file's cells, cut by a plain CSV reader, as JSON."""
    text = as_utf8(str(path), path.read_bytes())[0].decode()
    layout = layout_of(str(path), text, None)
    rows = list(csv.reader(io.StringIO(text[layout.start :], newline=""), delimiter=layout.delimiter))
    rows = [row for row in rows if len(row) == len(layout.header) and any(map(str.strip, row))]
    columns = [name or f"column {place}" for place, name in enumerate(layout.header)]
    found: Scores = []
    for start in range(0, len(rows), 1_000):
        request = {"columns": columns, "rows": rows[start : start + 1_000]}
        answer = server.http.post("/v1/score/cells", json=request)
        answer.raise_for_status()
        found += [(row["lead_id"], row["score"]) for row in answer.json()["rows"] if "score" in row]
    return found


def from_page(browser: Browser, url: str, path: Path, id_column: str) -> Scores:
    """As they stand in the file that the page offers."""
    return written(downloaded(browser, url, path), id_column)


def downloaded(browser: Browser, url: str, path: Path) -> str:
    """The file that the page offers."""
    page = browser.new_page(accept_downloads=True)
    page.set_default_timeout(600_000)
    errors = heard(page)
    try:
        open_page(page, url, "file")
        page.set_input_files("#choose", path)
        page.wait_for_selector("#checked:not([hidden]), #file-error:not([hidden])")
        if refused := page.locator("#file-error").text_content():
            raise SourceError(refused)
        page.locator("#start").click()
        page.wait_for_selector("#list:not([hidden]), #file-error:not([hidden])")
        with page.expect_download() as download:
            page.locator("#download").click()
        text = download.value.path().read_text("utf-8-sig")
    finally:
        page.close()
    assert errors == []
    return text


def written(text: str, id_column: str = "lead_id") -> Scores:
    """Ids and scores of a file with these columns; rows without a score are left out."""
    header = text.partition("\n")[0]
    delimiter = max(",;\t|", key=header.count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    return [
        (as_id(row[id_column].removeprefix("'")), float(row["score"].replace(",", "."))) for row in rows if row["score"]
    ]


def difference(expected: Scores, found: Scores) -> str:
    """What differs first, whatever the order of the rows; "yes" where nothing does."""
    for one, other in zip(sorted(expected), sorted(found), strict=False):
        if one[0] != other[0] or abs(one[1] - other[1]) > EXACT:
            return f"no: {one[0]} {one[1]:.6f}, {other[0]} {other[1]:.6f}"
    return "yes" if len(expected) == len(found) else f"no: {len(found)} rows"


def compare_all(folder: Path, names: Sequence[str]) -> Iterator[Compared]:
    """Each export's comparison as it ends."""
    with chromium() as browser:
        for name in names:
            yield compare(folder, name, browser)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each export; return the exit status."""
    folder = exports.folder()
    if folder is None:
        print(f"LEAD_EXPORTS is not set: {os.environ.get('LEAD_EXPORTS')}", file=sys.stderr)
        return 2
    names = list(arguments if arguments is not None else sys.argv[1:]) or NAMES
    print(f"{'export':28} {'scripts/score':>13}  {'page':5} {'batch':5} API")
    failed = 0
    for each in compare_all(folder, names):
        failed += not each.same
        print(f"{each.name:28} {each.scored:13,}  {each.page:5} {each.batch:5} {each.api}", flush=True)
    print(f"{len(names) - failed} of {len(names)} are the same")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
