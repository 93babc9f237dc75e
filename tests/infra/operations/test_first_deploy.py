"""A first deploy of each environment, walked event by event; what is left out or comes too late is found by name."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from infra import releases
from infra.environments import DEV, ENVIRONMENTS, PROD
from infra.operations import deploy, first_deploy, owner
from infra.operations.apply import DryRunTerraform
from infra.operations.deployment import Deploy
from infra.operations.first_deploy import POINTER
from infra.operations.prerequisites import BOOTSTRAP_APIS
from infra.operations.programs import Programs
from infra.rehearsal.synthesis import Stack
from infra.timeline.events import DeadlockError
from infra.timeline.needs import stack_event
from tests.facts import states
from tests.infra.conftest import Stacks, stack

AGENT = "gcp-sa-cloud-sql"


# What a dry run of a deploy prints for each step that is no stack's.
SIGNS = {
    "execute acme-leads-dev-migrate": "migrate MLflow's database",
    "rollout status": "wait for the roll-out",
    "sign-jwt": "smoke test",
}


@pytest.fixture
def prod(stacks: Stacks) -> list[Stack]:
    return copy.deepcopy(list(stacks("prod")))


def named(stacks: list[Stack], part: str) -> Stack:
    return next(stack for stack in stacks if stack.name == f"prod-{part}")


def deadlock(stacks: list[Stack]) -> str:
    with pytest.raises(DeadlockError) as found:
        first_deploy.timeline(PROD, stacks)
    return str(found.value).removeprefix("a first deploy cannot be done in this order: ")


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_order_of_each_environment_can_be_done_and_people_are_told_their_steps(env: str, stacks: Stacks) -> None:
    events = first_deploy.timeline(ENVIRONMENTS[env], stacks(env))
    order = [event.name for event in events]
    applied = [name.removeprefix(f"apply {env}-") for name in order if name.startswith("apply ")]
    assert sorted(applied) == sorted(stack.name.removeprefix(f"{env}-") for stack in stacks(env))
    assert order.index("train the first model") + 1 == order.index(f"apply {env}-serving")
    assert order.index(f"apply {env}-lifecycle") < order.index("train the first model")
    assert order[0] == "prepare the project"
    people = [event.name for event in events if event.command]
    secrets = ["migrator-password", *(["heartbeat-address", "pagerduty-key"] if ENVIRONMENTS[env].pages else [])]
    assert [name for name in people if "secret" in name] == [
        f"add a value to the secret {ENVIRONMENTS[env].name(secret)}" for secret in secrets
    ]
    stops = first_deploy.stops(events)
    assert any(stop.startswith(f"before `apply {env}-serving`") and "jobs execute" in stop for stop in stops)


def test_the_steps_are_those_of_a_deploy_in_its_order(
    stacks: Stacks, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, dry, engine = stacks("dev"), Programs({}, dry=True), DryRunTerraform(("terraform",), "")
    digest = f"sha256:{'1' * 64}"
    texts = [json.dumps(stack.config).replace(releases.PLACEHOLDER, digest) for stack in made]
    released = [Stack(stack.name, json.loads(text), stack.needs) for stack, text in zip(made, texts, strict=True)]
    Deploy(DEV, {}, engine, dry, build=False, folder=tmp_path, synthesize=lambda: released).phases()
    done = []
    for line in capsys.readouterr().out.splitlines():
        if applied := re.search(r"-chdir=\S+/(\S+) apply", line):
            done.append(f"apply {applied[1]}")
        done += [step for sign, step in SIGNS.items() if sign in line]
    steps = [
        event.name for event in first_deploy.steps(DEV, [stack_event(stack, made, pointer=POINTER) for stack in made])
    ]
    assert steps[:3] == ["scripts/bootstrap dev", "apply dev-foundation", "build, scan and push the images"]
    assert done == [steps[1], *steps[3:]]


def test_the_old_order_with_serving_before_the_train_job_is_found(prod: list[Stack]) -> None:
    serving, lifecycle = named(prod, "serving"), named(prod, "lifecycle")
    rest = [stack for stack in prod if stack not in (serving, lifecycle)]
    edge = rest.index(named(prod, "edge"))
    said = deadlock([*rest[:edge], serving, lifecycle, *rest[edge:]])
    assert re.search(r"apply prod-serving waits for model gs://acme-leads-prod-models/champion.json", said)
    assert "train the first model waits for job acme-leads-prod-train" in said
    assert "apply prod-lifecycle makes it, and that comes later" in said


def without_api(stacks: list[Stack]) -> None:
    del named(stacks, "foundation").config["resource"]["google_project_service"]["cloudscheduler"]


def without_order(stacks: list[Stack]) -> None:
    for budget in named(stacks, "foundation").config["resource"]["google_billing_budget"].values():
        budget["depends_on"] = []
        budget["all_updates_rule"] = {}


def without_the_secret(stacks: list[Stack]) -> None:
    del named(stacks, "foundation").config["resource"]["google_secret_manager_secret"]["pagerduty_key"]


def without_the_train_job(stacks: list[Stack]) -> None:
    del named(stacks, "lifecycle").config["resource"]["google_cloud_run_v2_job"]["train"]


def without_a_bucket(stacks: list[Stack]) -> None:
    del named(stacks, "storage").config["resource"]["google_storage_bucket"]["artifacts"]


def without_the_peering(stacks: list[Stack]) -> None:
    del named(stacks, "network").config["resource"]["google_service_networking_connection"]


def without_the_record(stacks: list[Stack]) -> None:
    del named(stacks, "edge").config["output"]["certificate_record"]


@pytest.mark.parametrize(
    ("leave_out", "step", "thing"),
    [
        (without_api, "apply prod-lifecycle", "API cloudscheduler.googleapis.com"),
        (without_order, "apply prod-foundation", "API billingbudgets.googleapis.com"),
        (without_the_secret, "apply prod-alerting", "secret acme-leads-prod-pagerduty-key"),
        (without_the_train_job, "apply prod-serving", "job acme-leads-prod-train"),
        (without_a_bucket, "apply prod-tracking", "bucket acme-leads-prod-artifacts"),
        (without_the_peering, "apply prod-database", "peering with Google's network"),
        (without_the_record, "smoke test", "output prod-edge.certificate_record"),
    ],
)
def test_what_a_stack_leaves_out_is_found_by_its_name(
    leave_out: Callable[[list[Stack]], None], step: str, thing: str, prod: list[Stack]
) -> None:
    leave_out(prod)
    said = deadlock(prod)
    assert said.startswith(f"{step} waits for")
    assert f"waits for {thing}" in said


def test_an_image_that_nobody_pushes_is_found(prod: list[Stack]) -> None:
    config = named(prod, "tracking").config["resource"]["google_cloud_run_v2_service"]["mlflow"]["template"]
    config["containers"][0]["image"] = f"{PROD.images}/other@{releases.PLACEHOLDER}"
    assert deadlock(prod).startswith(f"apply prod-tracking waits for image {PROD.images}/other@")


def test_a_google_account_that_the_owner_does_not_make_is_found(
    prod: list[Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(owner.SERVICES, AGENT)
    assert f"waits for Google's account service-333333333333@{AGENT}" in deadlock(prod)


@pytest.mark.parametrize("api", BOOTSTRAP_APIS)
def test_an_api_that_bootstrap_asks_and_the_owner_does_not_turn_on_is_found(
    api: str, prod: list[Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "APIS", tuple(each for each in owner.APIS if each != api))
    assert deadlock(prod).startswith(f"scripts/bootstrap prod waits for API {api}")


def test_a_deploy_of_a_type_without_its_apis_ends_with_the_file_to_edit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = stack(resource={"google_pubsub_topic": {"t": {"name": "t"}}})
    dry, engine = Programs({}, dry=True), DryRunTerraform(("terraform",), "")
    assert deploy.run(Deploy(DEV, {}, engine, dry, build=False, folder=tmp_path, synthesize=lambda: [new])) == 1
    states(capsys.readouterr().err, "infra/timeline/google.toml", "google_pubsub_topic")
