"""All policies on our own plans: that they pass, that they ran, and that a failure to run is a failure."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.policies import __main__ as command
from infra.policies import skips
from infra.policies.check import check
from infra.policies.plan import PlanError
from infra.policies.scanner import ScannerError
from infra.policies.skips import Skip
from tests.infra.conftest import Plans

pytestmark = pytest.mark.system  # checkov has an environment of its own: scripts/env policy
Written = Callable[..., Path]


@pytest.fixture
def written(plans: Plans, tmp_path: Path) -> Written:
    """A folder with the plans of an environment, of these stacks alone when any are named."""

    def write(env: str, *stacks: str) -> Path:
        folder = tmp_path / env
        folder.mkdir()
        for stack, plan in plans(env).items():
            if not stacks or stack in stacks:
                (folder / f"{env}-{stack}.json").write_text(json.dumps(plan))
        return folder

    return write


# Dev's plans pass in the test of the command, too.
@pytest.mark.parametrize("env", [*(pytest.param(env, marks=pytest.mark.nightly) for env in ("dev", "staging")), "prod"])
def test_our_own_plans_pass_and_both_kinds_of_checks_ran(env: str, written: Written) -> None:
    results = check(written(env), env)
    print(command.report(results))
    assert results.passed, command.report(results)
    assert min(results.executed["checkov"], results.executed["ours"]) >= 50


def test_a_failure_that_nobody_agreed_on_fails(written: Written) -> None:
    results = check(written("prod", "storage"), "prod", skipped=())
    assert not results.passed
    assert {(f.check, f.resource) for f in results.failures} == {
        ("CKV_GCP_62", "storage/google_storage_bucket.access_logs"),
        ("CKV_GCP_63", "storage/google_storage_bucket.access_logs"),
    }


def test_a_skip_ends_on_its_day(written: Written) -> None:
    agreed = skips.read(today=dt.datetime.now(dt.UTC).date())
    end = min(skip.expires for skip in agreed)
    folder = written("prod", "storage")
    mine = [skip for skip in agreed if skip.resource.startswith("storage/")]
    assert check(folder, "prod", skipped=mine, today=end).passed
    late = check(folder, "prod", skipped=mine, today=max(skip.expires for skip in mine) + dt.timedelta(days=1))
    assert len(late.failures) == len(mine)
    assert all("its skip ended on" in failure.says for failure in late.failures)


def test_a_skip_of_what_does_not_fail_fails(written: Written) -> None:
    folder = written("prod", "storage")
    everywhere = Skip("CKV_GCP_6*", "storage/*", "never looked at", dt.date.max)
    elsewhere = Skip("bucket-kept", "storage/*", "of another environment", dt.date.max, ("dev",))
    results = check(folder, "prod", skipped=[everywhere, elsewhere])
    assert results.needless == [everywhere]
    assert not results.passed


def test_a_resource_that_no_check_judges_fails(written: Written) -> None:
    folder = written("prod", "storage")
    file = folder / "prod-storage.json"
    plan = json.loads(file.read_text())
    for change in plan["resource_changes"]:
        if change["address"] == "google_storage_bucket.leads":
            change |= {"type": "google_filestore_instance", "address": "google_filestore_instance.leads"}
    file.write_text(json.dumps(plan))
    results = check(folder, "prod")
    assert results.unjudged == ["storage/google_filestore_instance.leads"]
    assert not results.passed


def test_a_file_that_does_not_parse_fails(written: Written) -> None:
    folder = written("prod", "storage")
    (folder / "prod-network.json").write_text("{")
    with pytest.raises(PlanError, match=r"prod-network\.json"):
        check(folder, "prod")


def test_no_plan_at_all_fails(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no plan in"):
        check(tmp_path, "prod")


def test_no_check_of_checkov_at_all_fails(written: Written) -> None:
    # It knows no resource of this stack, and by itself ends well.
    with pytest.raises(ScannerError, match="ran no check"):
        check(written("prod", "alerting"), "prod")


def test_without_checkov_it_fails(written: Written, tmp_path: Path) -> None:
    with pytest.raises(ScannerError, match="run scripts/env policy"):
        check(written("prod", "storage"), "prod", checkov=tmp_path / "checkov")


def test_the_command_counts_what_ran_and_its_exit_status_says_what_came_of_it(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written("dev")
    (tmp_path / "dev").rename(tmp_path / "dev-real")
    monkeypatch.setattr(command, "PLANS", tmp_path)
    assert command.main(["dev-real"]) == 0
    assert ": 0 failed, " in capsys.readouterr().out.splitlines()[-1]
    (tmp_path / "dev-real" / "dev-storage.json").unlink()
    assert command.main(["dev-real"]) == 1  # skips of what is not there
    (tmp_path / "dev-real" / "dev-storage.json").write_text("")
    assert command.main(["dev-real"]) == 1
    assert "dev-storage.json is not the plan of a stack" in capsys.readouterr().err
    with pytest.raises(SystemExit) as wrong:
        command.main(["nowhere"])
    assert wrong.value.code == 2
    assert "run scripts/plan nowhere" in capsys.readouterr().err
