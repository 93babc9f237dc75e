"""Everything of the plan that can fail is watched, or somebody has written why not."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from infra import coverage
from infra.coverage import ROWS, SETTINGS, WAYS, CoverageError, Row
from infra.environments import ENVIRONMENTS
from infra.rehearsal.synthesis import Stack
from monitoring import catalogue
from tests.facts import states

REASON = "nothing to report"
ALERTS = frozenset(alert.name for alert in catalogue.alerts())
BUCKET = {"google_storage_bucket": ROWS["google_storage_bucket"]}


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_no_cell_of_an_environment_is_open(env: str, stacks: Callable[[str], tuple[Stack, ...]]) -> None:
    built = coverage.things(stacks(env))
    assert {"job evaluate", "job drift", "job retrain", "job batch", "job compact", "kubernetes_manifest"} <= built
    assert list(coverage.gaps(built, ALERTS)) == []


def test_the_matrix_speaks_of_nothing_that_no_environment_builds(stacks: Callable[[str], tuple[Stack, ...]]) -> None:
    built = frozenset[str]().union(*(coverage.things(stacks(env)) for env in ENVIRONMENTS))
    of_on_call = {name for name in SETTINGS if name.startswith("pagerduty_")}  # for who names the people on call
    assert (ROWS.keys() | SETTINGS) - built == of_on_call


@pytest.mark.parametrize(
    ("built", "row", "facts"),
    [
        ("google_new_thing", None, ["google_new_thing", "fails"]),
        ("google_storage_bucket", Row(alerts={"down": ("SpoolFillsUp",)}), ["erring", "no alert", "no waiver"]),
        ("google_storage_bucket", Row(alerts={"down": ("Typo",)}), ["no alert", "Typo"]),
        (
            "google_storage_bucket",
            Row(alerts={"down": ("SpoolFillsUp",)}, waived={"down": REASON}),
            ["down", "twice"],
        ),
        ("google_storage_bucket", Row(waived=dict.fromkeys(WAYS, REASON)), ["7 of 7 cells", "waived"]),
    ],
)
def test_a_gap_is_named(built: str, row: Row | None, facts: list[str]) -> None:
    rows = {built: row} if row else {}
    states(coverage.gaps(frozenset({built}), ALERTS, rows), *facts)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("[rows.t]\nalert.down = ['A']", "matrix.toml: rows.t.alert: Extra inputs are not permitted"),
        ("[rows.t]\nalerts.broken = ['A']", "matrix.toml: rows.t.alerts.broken"),
        ("[rows.t]\nalerts.down = []", "matrix.toml: rows.t.alerts.down: Tuple should have at least 1 item"),
        ("[rows.t]\nwaived.down = ''", "matrix.toml: rows.t.waived.down: String should have at least 10"),
        ("[rows.t]\ncannot.down = 1", "matrix.toml: rows.t.cannot.down: Input should be a valid string"),
        ("[row.t]", "matrix.toml: rows: Field required; row: Extra inputs"),
        ("[rows.t", "matrix.toml: Expected"),
    ],
)
def test_a_matrix_that_is_not_as_it_should_be_is_refused_with_its_place(lines: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "matrix.toml"
    file.write_text(f"settings = []\n{lines}\n")
    with pytest.raises(CoverageError, match=re.escape(said)):
        coverage.read(file)


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
