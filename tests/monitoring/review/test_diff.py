"""A change of the alerts is shown with what it would have done to those who are paged."""

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from monitoring import catalogue
from monitoring.alerts import Alert, Severity
from monitoring.proof.scenarios import cases
from monitoring.review import __main__ as review
from monitoring.review import diff
from monitoring.review.commit import RefError
from monitoring.review.diff import AlertChange, Behaviour
from monitoring.simulation.firing import Replay
from monitoring.simulation.incidents import Incident

ALERTS = {alert.name: alert for alert in catalogue.alerts()}
SPOOL, READY = ALERTS["SpoolFillsUp"], ALERTS["ScoringPodsHalfGone"]
TIGHT = replace(SPOOL, expr="max(leadscoring_spool_bytes) > 1000")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose only commit has today's alerts, but for the spool's."""
    root = tmp_path_factory.mktemp("repository")
    shutil.copytree(
        diff.ROOT / "monitoring", root / "monitoring", ignore=shutil.ignore_patterns("__pycache__", "*.png")
    )
    file = root / "monitoring" / "catalogue" / "records.py"
    file.write_text(file.read_text().replace("SPOOL_BYTES // 10 * 9", "SPOOL_BYTES // 10 * 5"))
    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "alerts"]):
        subprocess.run([*git, *command], check=True)
    return root


def test_another_commits_alerts_are_those_that_its_renderer_writes(repository: Path) -> None:
    told = diff.at("HEAD", repository)
    assert [alert.name for alert in told] == list(ALERTS)
    (changed,) = diff.changes(told, ALERTS.values())
    assert changed.name == "SpoolFillsUp"
    assert diff.asks(changed.old) == "> 128,000,000 for 5 min, page"
    assert diff.asks(changed.new) == "> 230,400,000 for 5 min, page"


def test_a_commit_that_is_not_there_is_told_of(repository: Path) -> None:
    with pytest.raises(RefError, match="git rev-parse"):
        diff.at("nowhere", repository)


def test_what_fires_otherwise_is_a_change_and_what_reads_otherwise_is_none() -> None:
    told = replace(SPOOL, summary="Another sentence.", panel="Another")
    assert diff.changes([SPOOL], [told]) == []
    for other in (
        replace(SPOOL, hold=timedelta(0)),
        replace(SPOOL, severity=Severity.TICKET),
        TIGHT,
    ):
        assert diff.changes([SPOOL], [other]) == [AlertChange("SpoolFillsUp", SPOOL, other)]
    assert diff.changes([SPOOL], []) == [AlertChange("SpoolFillsUp", SPOOL, None)]
    assert diff.changes([], [SPOOL]) == [AlertChange("SpoolFillsUp", None, SPOOL)]


def test_the_sheet_has_a_row_for_each_change() -> None:
    told = diff.markdown(
        [
            AlertChange("A", SPOOL, TIGHT, Behaviour(2, 0, (6, 8), 1), Behaviour(9, 7, (1, 2, 3)), ("a night",)),
            AlertChange("B", None, READY, None, Behaviour(1)),
        ],
        "In 30 days.",
    )
    assert told.splitlines()[:3] == ["## Alerts in the replay", "", "In 30 days."]
    was, now = "> 230,400,000 for 5 min, page", "> 1,000 for 5 min, page"
    assert f"| A | {was} | {now} | 2 -> 9 | 0 -> 7 | 2 of 3 -> 3 of 3 | 7, at most 8 -> 2, at most 3 | 1 |" in told
    assert " | - -> 1 | - -> 0 |  |  | 0 |" in told
    assert "- A does not keep the case: a night" in told
    assert "No alert fires otherwise" in diff.markdown([], "In 30 days.")


def test_what_is_asked_of_something_else_is_said_to_be() -> None:
    other = replace(SPOOL, expr=SPOOL.expr.replace("max(", "min("))
    ((_, old, new, *_),) = diff.rows([AlertChange("A", SPOOL, other)])
    assert new == f"{old}, of something else"


def test_an_unknown_commit_is_a_failure_and_too_many_days_are_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert review.main(["diff", "no-such-commit"]) == 1
    assert "git rev-parse" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        review.main(["diff", "HEAD", "--days", "31"])
    assert ended.value.code == 2
    with pytest.raises(SystemExit) as ended:
        review.main(["diff", "HEAD", "--seeds", "0"])
    assert ended.value.code == 2


@pytest.mark.system
@pytest.mark.skipif(not shutil.which("prometheus"), reason="no prometheus: scripts/install-system brings it")
def test_what_a_change_does_is_counted_over_all_seeds() -> None:
    (tight,) = diff.replayed([AlertChange("SpoolFillsUp", SPOOL, TIGHT)], range(2), 1)
    assert tight.before
    assert tight.after
    assert tight.before.false == 0
    assert tight.after.false >= 2  # at least once in each seed
    (gone,) = diff.replayed([AlertChange("SpoolFillsUp", SPOOL, None)], range(1), 1)
    assert (gone.before, gone.after) == (Behaviour(), None)


@dataclass
class Told:
    """Days in which alerts fire as said."""

    incidents: tuple[Incident, ...]
    fired: dict[str, list[tuple[int, int]]]

    def incidents_of(self, alerts: Iterable[Alert]) -> dict[str, dict[str, list[tuple[int, int]]]]:
        return {alert.name: {"{}": self.fired[alert.name]} for alert in alerts}


def test_incidents_found_in_time_missed_ones_and_false_alarms_are_told_apart() -> None:
    fills = [Incident("a spool fills", first, first + 60, {"SpoolFillsUp": 20}) for first in (2000, 4000)]
    told = Told(tuple(fills), {"SpoolFillsUp": [(2007, 2060), (9000, 9010)]})
    found = diff.behaviours([SPOOL], cast("Replay", told))
    assert found == {"SpoolFillsUp": Behaviour(2, 1, (7,), 1)}


@pytest.mark.system
@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool: scripts/install-system brings it")
def test_the_cases_that_a_changed_alert_does_not_keep_are_named() -> None:
    about = [case for case in cases(tuple(ALERTS.values())) if SPOOL.name in case.stays_silent and not case.everything][
        :1
    ]
    kept, broken = diff.proven([AlertChange(SPOOL.name, SPOOL, SPOOL), AlertChange(SPOOL.name, SPOOL, TIGHT)], about)
    assert kept.failing == ()
    assert broken.failing == tuple(case.story for case in about)
