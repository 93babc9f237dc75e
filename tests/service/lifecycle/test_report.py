from pathlib import Path

import pytest

from service import history
from service.history import Evaluation
from service.lifecycle.report import MAIL, address, main
from service.storage import Bucket, Folder
from tests.facts import states
from tests.service.lifecycle.reporting.entries import DAY, NOW, contacts, decision, drift, evaluation


def run(root: Path, *more: str) -> int:
    return main(["--models", str(root), "--now", NOW.isoformat(), *more])


def test_the_report_is_written_once_a_day_from_the_history_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = Folder(tmp_path / "models")
    for entry in (
        evaluation(NOW - 8 * DAY),
        evaluation(NOW - 2 * DAY, contacts=contacts(earned=None, no_estimate="x")),
        evaluation(),
        decision("promoted"),
        drift(True, "channel"),
    ):
        history.append(models, entry)
    assert run(models.root, "--metrics", str(tmp_path / "figures")) == 0
    html, pdf = (models.root / f"reports/2026-03-02.{ending}" for ending in ("html", "pdf"))
    states(html.read_text(), "earned 31,000, give or take 4,000, more", "a new model was put in service", "channel")
    states(html.read_text(), "The report a week before: The model earned 31,000")
    assert pdf.read_bytes().startswith(b"%PDF")
    states(capsys.readouterr().out, f"{MAIL} {pdf}", "earned 31,000")
    assert 'last_success_timestamp_seconds{job="report"}' in (tmp_path / "figures/report.prom").read_text()

    before = html.read_bytes(), pdf.read_bytes()
    history.append(models, evaluation(NOW - DAY / 8, contacts=contacts(leads=1)))
    assert run(models.root) == 0
    assert (html.read_bytes(), pdf.read_bytes()) == before
    again = capsys.readouterr()
    states(again.out, "already there", pdf)
    assert MAIL not in again.out + again.err


def test_a_run_that_was_stopped_between_both_files_is_finished_by_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = Folder(tmp_path)
    history.append(models, evaluation())
    models.create("reports/2026-03-02.html", b"there")
    assert run(tmp_path) == 0
    assert (tmp_path / "reports/2026-03-02.html").read_bytes() == b"there"
    assert (tmp_path / "reports/2026-03-02.pdf").exists()
    states(capsys.readouterr().out, MAIL)


@pytest.mark.parametrize("entries", [[], [evaluation(contacts=None)]])
def test_before_contacts_are_evaluated_the_report_says_that_nothing_is_known_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], entries: list[Evaluation]
) -> None:
    for entry in entries:
        history.append(Folder(tmp_path), entry)
    assert run(tmp_path) == 0
    states(capsys.readouterr().out, MAIL, "not known yet")
    states((tmp_path / "reports/2026-03-02.html").read_text(), "not known yet", "The model did not change this week.")
    assert (tmp_path / "reports/2026-03-02.pdf").read_bytes().startswith(b"%PDF")


def test_the_address_of_a_buckets_object_is_one_that_people_can_open() -> None:
    bucket = Bucket.__new__(Bucket)
    bucket.url = "gs://acme-models/prod"
    assert address(bucket, "reports/1.pdf") == "https://storage.cloud.google.com/acme-models/prod/reports/1.pdf"
