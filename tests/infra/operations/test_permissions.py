"""The command that compares permissions, and the plan that refuses an environment where somebody lacks one."""

from pathlib import Path

import pytest

from infra.operations import owner, permissions, plan
from infra.permissions.grants import Grant
from tests.infra.conftest import Stacks


@pytest.fixture
def _synthesized(stacks: Stacks, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stacks of PROD are synthesized once."""
    monkeypatch.setattr(permissions, "synthesize", lambda env: stacks(env.id))


@pytest.fixture
def _without_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planner has no role on the billing account."""
    less = [grant for grant in owner.grants() if grant != Grant("planner", "roles/billing.viewer", "billing account")]
    monkeypatch.setattr(owner, "grants", lambda: less)


@pytest.mark.usefixtures("_synthesized")
def test_the_command_shows_every_identity_the_widest_grants_and_what_is_unknown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert permissions.main(["prod"]) == 0
    text = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in text.split("\n\n")[1].splitlines() if line}
    assert set(rows) >= {"identity", "person", "deployer", "planner", "scoring", "jobs", "watcher"}
    roles, held, needed, unneeded = map(int, rows["planner"])
    assert (roles, held - needed) == (20, unneeded)
    assert text.count(": needs ") == 10
    assert "NOT JUSTIFIED" not in text
    assert "servicenetworking.services.connections.patch, for create of google_service_networking_connection" in text


@pytest.mark.usefixtures("_synthesized", "_without_the_budget")
def test_the_command_fails_where_a_permission_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert permissions.main(["prod"]) == 1
    assert capsys.readouterr().err.startswith("MISSING: planner/billing.budgets.get is missing on the billing account")


@pytest.mark.usefixtures("_without_the_budget")
def test_a_plan_is_refused_where_a_permission_is_missing_unless_a_reason_allows_it(
    stacks: Stacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plan, "synthesize", lambda env: stacks(env.id))
    monkeypatch.setattr(plan, "_planned", lambda *_: [])
    monkeypatch.setattr(plan, "_report", lambda *_: tmp_path)
    assert plan.main(["prod"]) == 1
    output = capsys.readouterr()
    assert ", 1 missing; 4 methods unknown" in output.out
    assert "REFUSED: planner/billing.budgets.get is missing on the billing account" in output.err
    allowed = "planner/billing.budgets.get=the billing account is another department's"
    assert plan.main(["prod", "--allow", allowed]) == 0
