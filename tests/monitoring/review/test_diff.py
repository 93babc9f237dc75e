"""A change of the alerts is shown with what it would have done to those who are paged."""

import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from monitoring import catalogue
from monitoring.alerts import Severity
from monitoring.review import __main__ as review
from monitoring.review import diff
from monitoring.review.diff import AlertChange
from monitoring.simulation.firing import replay

ALERTS = {alert.name: alert for alert in catalogue.alerts()}
SPOOL, READY = ALERTS["SpoolHalfFull"], ALERTS["ScoringPodsHalfGone"]
TIGHT = replace(SPOOL, expr="max(leadscoring_spool_bytes) > 1000")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose only commit has today's alerts, but for the spool's."""
    root = tmp_path_factory.mktemp("repository")
    shutil.copytree(
        diff.ROOT / "monitoring", root / "monitoring", ignore=shutil.ignore_patterns("__pycache__", "*.png")
    )
    file = root / "monitoring" / "catalogue" / "records.py"
    file.write_text(file.read_text().replace("SPOOL_BYTES // 2", "SPOOL_BYTES // 4"))
    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "alerts"]):
        subprocess.run([*git, *command], check=True)
    return root


def test_another_commits_alerts_are_those_that_its_renderer_writes(repository: Path) -> None:
    told = diff.at("HEAD", repository)
    assert [alert.name for alert in told] == list(ALERTS)
    (changed,) = diff.changes(told, ALERTS.values())
    assert changed.name == "SpoolHalfFull"
    assert diff.asks(changed.old) == "> 64,000,000 for 5 min, page"
    assert diff.asks(changed.new) == "> 128,000,000 for 5 min, page"


def test_a_commit_that_is_not_there_is_told_of(repository: Path) -> None:
    with pytest.raises(diff.RefError, match="git rev-parse"):
        diff.at("nowhere", repository)


def test_what_fires_otherwise_is_a_change_and_what_reads_otherwise_is_none() -> None:
    told = replace(SPOOL, summary="Another sentence.", panel="Another")
    assert diff.changes([SPOOL], [told]) == []
    for other in (
        replace(SPOOL, hold=timedelta(0)),
        replace(SPOOL, severity=Severity.TICKET),
        TIGHT,
    ):
        assert diff.changes([SPOOL], [other]) == [AlertChange("SpoolHalfFull", SPOOL, other)]
    assert diff.changes([SPOOL], []) == [AlertChange("SpoolHalfFull", SPOOL, None)]
    assert diff.changes([], [SPOOL]) == [AlertChange("SpoolHalfFull", None, SPOOL)]


def test_the_sheet_has_a_row_for_each_change() -> None:
    told = diff.markdown(
        [AlertChange("A", SPOOL, TIGHT, (0, 3)), AlertChange("B", None, READY, (None, 1))], "In 30 days."
    )
    assert told.splitlines()[:3] == ["## Alerts in the replay", "", "In 30 days."]
    assert "| A | > 128,000,000 for 5 min, page | > 1,000 for 5 min, page | 0 | 3 |" in told
    assert (
        '| B | none | < 0.5 * sum(kube_deployment_spec_replicas{deployment="scoring"}) for 5 min, page |  | 1 |' in told
    )
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


@pytest.mark.system
@pytest.mark.skipif(not shutil.which("prometheus"), reason="no prometheus: scripts/install-system brings it")
def test_an_alert_that_is_made_too_tight_fires_more_often_in_the_same_days() -> None:
    with replay(0, 1) as told:
        (counted,) = diff.counted([AlertChange("SpoolHalfFull", SPOOL, TIGHT)], told)
        (gone,) = diff.counted([AlertChange("SpoolHalfFull", SPOOL, None)], told)
    before, after = counted.fired
    assert before == 0
    assert after
    assert gone.fired == (0, None)
