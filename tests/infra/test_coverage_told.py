"""Each cell of the coverage matrix is proven: a story of that very failure fires the alert that it names."""

import pytest

from infra import coverage
from monitoring.proof import told
from monitoring.proof.cases import Case, Firing
from monitoring.proof.told import untold
from tests.facts import states

CELL = ("google_storage_bucket", "down")
STORY = Case(story="it is away", series=(), lasts=5, fires={"UploadsFail": Firing(after=1, until=5)})


def test_a_story_proves_each_alert_of_each_cell() -> None:
    assert list(coverage.unproven()) == []


def test_an_alert_that_no_story_proves_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(coverage, "synthesize", lambda _: ())
    monkeypatch.setattr(coverage, "things", lambda _: frozenset({"google_storage_bucket"}))
    assert coverage.main(["prod"]) == 0
    monkeypatch.delitem(told.TOLD[CELL], "RecordUploadsFailing")
    assert coverage.main(["prod"]) == 1
    assert "google_storage_bucket, down: RecordUploadsFailing is proven by no story" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stories", "facts"),
    [
        ({}, ["google_storage_bucket, down: UploadsFail", "no story"]),
        ({CELL: {"UploadsFail": "it is gone"}}, ["google_storage_bucket, down: UploadsFail", "it is gone"]),
        ({CELL: {"UploadsFail": "it is away", "Other": "it is away"}}, ["does not name Other"]),
    ],
)
def test_a_cell_that_no_story_proves_is_named(stories: dict[tuple[str, str], dict[str, str]], facts: list[str]) -> None:
    states(untold({CELL: ("UploadsFail",)}, [STORY], stories), *facts)


def test_a_story_that_does_not_fire_the_alert_proves_nothing() -> None:
    states(
        untold({CELL: ("Late",)}, [STORY], {CELL: {"Late": "it is away"}}),
        "google_storage_bucket, down: Late",
        "does not fire",
    )
    assert list(untold({CELL: ("UploadsFail",)}, [STORY], {CELL: {"UploadsFail": "it is away"}})) == []
