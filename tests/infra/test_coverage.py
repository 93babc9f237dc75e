"""Everything of the plan that can fail is watched, or somebody has written why not."""

from collections.abc import Callable

import pytest

from infra import coverage
from infra.coverage import ROWS, SETTINGS, WAYS, Row
from infra.environments import ENVIRONMENTS
from infra.rehearsal.synthesis import Stack
from monitoring import catalogue

ALERTS = frozenset(alert.name for alert in catalogue.alerts())
BUCKET = {"google_storage_bucket": ROWS["google_storage_bucket"]}


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_no_cell_of_an_environment_is_open(env: str, stacks: Callable[[str], tuple[Stack, ...]]) -> None:
    built = coverage.things(stacks(env))
    assert {"job evaluate", "job drift", "job retrain", "job batch", "kubernetes_manifest"} <= built
    assert list(coverage.gaps(built, ALERTS)) == []


def test_the_matrix_speaks_of_nothing_that_no_environment_builds(stacks: Callable[[str], tuple[Stack, ...]]) -> None:
    built = frozenset[str]().union(*(coverage.things(stacks(env)) for env in ENVIRONMENTS))
    assert (ROWS.keys() | SETTINGS) - built == set()


@pytest.mark.parametrize(
    ("built", "row", "said"),
    [
        ("google_new_thing", None, "nobody has said how it fails"),
        ("google_storage_bucket", Row({"down": ("SpoolHalfFull",)}), "erring: no alert and no waiver"),
        ("google_storage_bucket", Row({"down": ("Typo",)}), "no alert is called Typo"),
        ("google_storage_bucket", Row({"down": ("SpoolHalfFull",)}, {"down": "so"}), "down: said twice"),
        ("google_storage_bucket", Row({}, dict.fromkeys(WAYS, "so")), "7 of 7 cells are waived"),
    ],
)
def test_a_gap_is_named(built: str, row: Row | None, said: str) -> None:
    rows = {built: row} if row else {}
    assert any(said in gap for gap in coverage.gaps(frozenset({built}), ALERTS, rows))


def test_the_matrix_shows_alerts_waivers_and_their_number() -> None:
    shown = coverage.matrix(frozenset(BUCKET), BUCKET)
    assert "  slow      SpoolNotDraining\n" in shown
    assert "  full      cannot: a bucket has no size limit\n" in shown
    assert shown.endswith("5 cells, 1 waived (20%; at most 25%)")


def test_a_gap_ends_with_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(coverage, "synthesize", lambda _: ())
    monkeypatch.setattr(coverage, "things", lambda _: frozenset({"google_new_thing", "google_storage_bucket"}))
    assert coverage.main(["prod"]) == 1
    assert "google_new_thing: nobody has said" in capsys.readouterr().err
