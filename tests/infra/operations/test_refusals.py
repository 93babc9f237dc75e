"""A deploy asks for the error budgets where its environment freezes on a spent one."""

import os
import sys
from pathlib import Path

import pytest

from infra.environments import DEV
from infra.operations.programs import Failed, Programs
from infra.operations.refusals import ASKED, check_budgets
from tests.facts import states

FREEZES = DEV.model_copy(update={"budget_spent": "freeze"})


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is asked: a program that writes down its arguments, and ends as its file says."""
    asked = tmp_path / "asked"
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\necho "$@" > {asked}\ncat {tmp_path}/says >&2\nexit $(cat {tmp_path}/status)\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    (tmp_path / "says").write_text("")
    (tmp_path / "status").write_text("0")
    return tmp_path


def test_what_is_left_of_the_promises_to_callers_is_asked_of_cloud_monitoring(answers: Path) -> None:
    check_budgets(FREEZES, Programs(os.environ), "")
    assert (answers / "asked").read_text().split() == [*ASKED, "dev", "--callers", "--prometheus", "google"]


@pytest.mark.parametrize(("status", "says"), [(1, "spent: ScoringAvailability"), (2, "cannot be reached")])
def test_a_deploy_is_refused_where_a_budget_is_spent_or_nobody_can_say(answers: Path, status: int, says: str) -> None:
    (answers / "says").write_text(says)
    (answers / "status").write_text(str(status))
    with pytest.raises(Failed) as refused:
        check_budgets(FREEZES, Programs(os.environ), "")
    states(f"{refused.value} {refused.value.remedy}", says, "dev", "budget_spent", "--in-spite-of-budget")


def test_nobody_is_asked_with_a_reason_or_where_the_environment_does_not_freeze(answers: Path) -> None:
    (answers / "status").write_text("1")
    check_budgets(FREEZES, Programs(os.environ), "it mends the outage")
    check_budgets(DEV, Programs(os.environ), "")
    assert not (answers / "asked").exists()
