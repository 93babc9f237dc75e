"""The workflows for GitHub: linted, pinned, with no more rights than they need, and true to what is here."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.environments import ENVIRONMENTS
from infra.operations import ci
from infra.rehearsal.synthesis import readable, sensitive
from infra.stacks.delivery import DEPLOYER_EVENTS, PLANNER_EVENTS
from tests.infra.conftest import Plans, Stacks, planned

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
ZIZMOR = Path(sys.executable).with_name("zizmor")
PIN = ROOT / "scripts" / "pin-actions"
USES = re.compile(r"uses: ([^@\s]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)")


def jobs() -> list[tuple[str, str, dict[str, Any]]]:
    return [(file.stem, name, job) for file in FILES for name, job in yaml.safe_load(file.read_text())["jobs"].items()]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    line = [str(ZIZMOR), "--offline", "--pedantic", "--no-progress", str(folder)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_the_linter_has_nothing_against_the_workflows() -> None:
    done = lint(FOLDER)
    assert done.returncode == 0, done.stdout
    assert len(FILES) == 5


def test_the_linter_would_have(tmp_path: Path) -> None:
    file = tmp_path / ".github" / "workflows" / "pull-request.yml"
    file.parent.mkdir(parents=True)
    text = (FOLDER / "pull-request.yml").read_text()
    file.write_text(text.replace('scripts/plan "$ENVIRONMENT"', "scripts/plan ${{ github.head_ref }}"))
    assert "template-injection" in lint(tmp_path).stdout
    file.write_text(re.sub(r"@[0-9a-f]{40} # v(\d)\S+", r"@v\1", text))
    assert "unpinned-uses" in lint(tmp_path).stdout


def test_every_action_is_pinned_by_a_commit_and_names_its_tag() -> None:
    for file in FILES:
        uses = re.findall(r"uses: (.*)", file.read_text())
        assert all(USES.fullmatch(f"uses: {each}") or each.startswith("./.github/") for each in uses), file


def test_every_workflow_looks_at_the_pins_before_it_runs_an_action() -> None:
    for workflow, name, job in jobs():
        if name == "pins":
            assert not any("uses" in step for step in job["steps"])
        elif workflow != "deploy-environment":  # called by what has looked
            needed = [job["needs"]] if isinstance(job["needs"], str) else job["needs"]
            assert needed, (workflow, name)
            assert "pins" in needed or workflow == "deploy"
    needs = {name: job.get("needs") for workflow, name, job in jobs() if workflow == "deploy"}
    assert needs == {"pins": None, "plan": "pins", "dev": "plan", "staging": "dev", "prod": "staging"}


def test_a_pull_request_gets_no_credentials_and_what_runs_its_code_may_only_read() -> None:
    text = (FOLDER / "pull-request.yml").read_text()
    assert "secrets." not in text
    assert "pull_request_target" not in text
    rights = {name: job["permissions"] for workflow, name, job in jobs() if workflow == "pull-request"}
    comment = rights.pop("comment")
    assert comment == {"pull-requests": "write"}
    assert all(right == {"contents": "read"} for right in rights.values())
    (commenting,) = (job for workflow, name, job in jobs() if (workflow, name) == ("pull-request", "comment"))
    assert not any("scripts/" in step.get("run", "") for step in commenting["steps"])


def test_no_workflow_has_rights_of_its_own_and_a_deploy_stands_behind_its_environments_gate() -> None:
    for file in FILES:
        assert yaml.safe_load(file.read_text())["permissions"] == {}
    deploying = [job for _, _, job in jobs() if any("scripts/deploy" in s.get("run", "") for s in job.get("steps", []))]
    assert [job["environment"] for job in deploying] == ["${{ inputs.environment }}"]


def test_a_workflow_deploys_what_is_committed_with_every_program_that_a_deploy_needs() -> None:
    (steps,) = (job["steps"] for workflow, _, job in jobs() if workflow == "deploy-environment")
    assert any('scripts/deploy "$ENVIRONMENT" --no-build' in step.get("run", "") for step in steps)
    (components,) = (s["with"]["install_components"] for s in steps if "install_components" in s.get("with", {}))
    assert set(components.split(",")) == {"gke-gcloud-auth-plugin", "kubectl"}


def test_the_workflows_know_the_environments_and_the_gates_that_the_stacks_know() -> None:
    for _, _, job in jobs():
        if "strategy" in job:
            assert job["strategy"]["matrix"]["environment"] == list(ENVIRONMENTS)
    gates = [name for workflow, name, job in jobs() if workflow == "deploy" and "with" in job]
    assert gates == [env.github_environment for env in ENVIRONMENTS.values()]


def test_what_the_workflows_run_is_there() -> None:
    for file in FILES:
        for script in re.findall(r"(?<![\w/])scripts/([\w-]+)", file.read_text()):
            assert os.access(ROOT / "scripts" / script, os.X_OK), script
        for module in re.findall(r"python -m ([\w.]+)", file.read_text()):
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def test_a_workflow_logs_in_as_the_accounts_that_the_delivery_stack_makes(plans: Plans) -> None:
    plan = plans("prod")["delivery"]
    accounts = {a["account_id"] for a in planned(plan, "google_service_account").values()}
    (provider,) = planned(plan, "google_iam_workload_identity_pool_provider").values()
    for name in ci.ACCOUNTS:
        found = ci.identity(ENVIRONMENTS["prod"], name)
        assert found["account"].partition("@")[0] in accounts
        assert provider["oidc"][0]["allowed_audiences"] == [f"https://iam.googleapis.com/{found['provider']}"]
    secrets = planned(plans("prod")["foundation"], "google_secret_manager_secret")
    names = {secret["secret_id"] for secret in secrets.values()}
    assert {found["pagerduty_key"], found["migrator_password"]} <= names
    assert ci.identity(ENVIRONMENTS["dev"], "planner")["pagerduty_key"] == ""


def test_the_accounts_are_lent_to_the_events_of_the_workflows_that_log_in_and_to_no_others() -> None:
    texts = {file.stem: file.read_text() for file in FILES}
    events = {stem: set(yaml.safe_load(text)[True]) for stem, text in texts.items()}  # YAML 1.1 reads `on` as true
    # A called workflow has the event of its caller.
    callers = {s for s, text in texts.items() if "uses: ./.github/workflows/deploy-environment.yml" in text}
    events["deploy-environment"] = {event for caller in callers for event in events[caller]}
    for account, lent in (("planner", PLANNER_EVENTS), ("deployer", DEPLOYER_EVENTS)):
        logging_in = [stem for stem, text in texts.items() if re.search(rf'ci "\$ENVIRONMENT" {account}\b', text)]
        assert {event for stem in logging_in for event in events[stem]} == set(lent)
        for _, _, job in jobs():
            if any(f"{account} >>" in step.get("run", "") for step in job.get("steps", [])):
                assert ("environment" in job) == (account == "deployer")


def test_a_workflow_gives_every_variable_that_terraform_asks_it_for(stacks: Stacks) -> None:
    everything, known = stacks("prod"), readable(stacks("prod"))
    for file, asked in (("deploy", known), ("drift", known), ("deploy-environment", everything)):
        given = set(re.findall(r"TF_VAR_(\w+)[=:]", (FOLDER / f"{file}.yml").read_text()))
        assert given == {name for stack in asked for name in sensitive(stack)}


def test_whom_to_log_in_as_is_printed_as_outputs_of_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert ci.main(["dev", "planner"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == (
        "account=acme-leads-dev-planner@acme-leads-dev.iam.gserviceaccount.com"
    )
    assert ci.main(["dev", "owner"]) == 2


@pytest.fixture
def server(tmp_path: Path) -> tuple[Path, str]:
    """A git server with the action some/action, tagged v1.0.0 with an annotated tag; and that commit."""
    action = tmp_path / "server" / "some" / "action"
    action.mkdir(parents=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for line in (
        ["init", "-q"],
        [*who, "commit", "-q", "--allow-empty", "-m", "m"],
        [*who, "tag", "-am", "m", "v1.0.0"],
    ):
        subprocess.run(["git", *line], cwd=action, check=True)
    said = subprocess.run(["git", "rev-parse", "HEAD"], cwd=action, capture_output=True, text=True, check=True)
    return tmp_path / "server", said.stdout.strip()


def pin(server: Path, workflow: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, what was said, and the workflow afterwards."""
    folder = server.parent / "workflows"
    folder.mkdir(exist_ok=True)
    (folder / "w.yml").write_text(workflow)
    env = os.environ | {"GITHUB_SERVER_URL": f"file://{server}", "WORKFLOWS": str(folder)}
    done = subprocess.run([PIN, *arguments], env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr, (folder / "w.yml").read_text()


def test_a_pin_that_is_what_its_tag_is_passes(server: tuple[Path, str]) -> None:
    assert pin(server[0], f"      - uses: some/action@{server[1]} # v1.0.0\n", "--check")[:2] == (0, "")


def test_a_pin_that_is_not_what_its_tag_is_fails_and_is_put_right(server: tuple[Path, str]) -> None:
    wrong = f"      - uses: some/action@{'0' * 40} # v1.0.0\n"
    code, said, after = pin(server[0], wrong, "--check")
    assert (code, after) == (1, wrong)
    assert f"is not v1.0.0, which is {server[1]}" in said
    code, _, after = pin(server[0], wrong)
    assert (code, after) == (0, f"      - uses: some/action@{server[1]} # v1.0.0\n")


@pytest.mark.parametrize("line", ["uses: some/action@v1.0.0", f"uses: some/action@{'0' * 40} # v9.9.9"])
def test_a_pin_that_cannot_be_looked_up_fails(line: str, server: tuple[Path, str]) -> None:
    assert pin(server[0], f"      - {line}\n", "--check")[0] == 1
