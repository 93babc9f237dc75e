"""Somebody's own Terraform, rehearsed by the command: two small examples, and what it refuses."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.rehearsal.__main__ import main
from infra.rehearsal.foreign import folder
from tests.facts import states

ROOT = Path(__file__).parents[3]
EXAMPLES = Path(__file__).parent / "examples"
STEPS = ("init", "validate", "plan", "apply", "second plan", "destroy")


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    """A copy of the plain example, to be changed."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    return tmp_path / "examples/landing"


def tree(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def steps(output: str, stack: str) -> tuple[str, ...]:
    lines = [line.split() for line in output.splitlines() if line.startswith("  ") and line.endswith(" s")]
    return tuple(" ".join(line[1:-2]) for line in lines if line[0] == stack)


def test_a_plain_folder_goes_through_every_step_and_is_only_read(capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(EXAMPLES)
    assert main([str(EXAMPLES / "landing"), "--var", "project=a-project", "--var", 'ranges={"a": "10.1.0.0/20"}']) == 0
    said = capsys.readouterr().out
    assert steps(said, "landing") == STEPS
    states(said, "a-project-uploads", "account_id partners", 'google_compute_subnetwork.this["a"]', "5 to add")
    states(said.splitlines(), "protections", "ignored")
    assert "No rules of the provider's code are known of" not in said
    assert tree(EXAMPLES) == before


def test_the_stacks_of_a_cdktf_output_read_each_other_s_states(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(EXAMPLES / "shop")]) == 0
    said = capsys.readouterr().out
    assert steps(said, "queue") == steps(said, "oncall") == STEPS
    assert said.index("queue                    second plan") < said.index("oncall                   init")
    states(said, "No rules of the provider's code are known of", "google_pubsub_topic")
    assert "were ignored" not in said


def test_the_command_needs_no_environment_of_ours(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.rehearsal", "--help"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    states(done.stdout, "cdktf.out", "--var-file", "exit status")


def test_variables_come_from_files_and_options_and_the_last_one_counts(
    landing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (landing / "terraform.tfvars").write_text('project = "of-the-folder"\nregion = "of-the-folder"\n')
    (tmp_path / "eu.tfvars").write_text('project = "of-a-file"\ndays = 7\n')
    (tmp_path / "later.tfvars.json").write_text('{"days": 8}')
    files = [f"--var-file={tmp_path / name}" for name in ("eu.tfvars", "later.tfvars.json")]
    assert main([str(landing), *files, "--var", "project=of-an-option"]) == 0
    states(capsys.readouterr().out, "of-an-option-uploads", "age 8")


def test_a_variable_without_a_value_gets_a_made_up_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(EXAMPLES / "landing")]) == 0
    said = capsys.readouterr().out
    states(said, "rehearsed-project-uploads", "Made up", "--var")


def test_what_terraform_refuses_ends_with_1_and_its_reason(landing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (landing / "more.tf").write_text('resource "google_pubsub_topic" "t" { colour = "red" }')
    assert main([str(landing), "--var", "project=p"]) == 1
    states(capsys.readouterr().err, "landing: validate failed", "colour")


def test_another_version_of_a_provider_is_named_and_the_installed_one_rehearsed(
    landing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = landing / "main.tf"
    file.write_text(file.read_text().replace("~> 6.0", "~> 7.0"))
    assert main([str(landing), "--var", "project=p"]) == 0
    states(capsys.readouterr().out, "ask for ~> 7.0", "rehearsed with 6.50.0")


@pytest.mark.parametrize(
    ("files", "facts"),
    [
        (
            {"more.tf": 'module "vpc" {\n  source = "terraform-google-modules/network/google"\n}'},
            ["more.tf:1", "vpc", "copy of it"],
        ),
        (
            {"more.tf.json": '{"module": {"m": {"source": "git::https://host/m"}}}'},
            ["more.tf.json:1", "git::https", "copy of it"],
        ),
        ({"more.tf": 'module "gone" { source = "./gone" }'}, ["more.tf:1", "./gone"]),
        ({"more.tf": '\nresource "random_pet" "p" {}'}, ["hashicorp/random", "more.tf:2", "pagerduty/pagerduty"]),
        (
            {"more.tf": 'data "terraform_remote_state" "o" { backend = "s3" }'},
            ["more.tf:1", "terraform_remote_state.o"],
        ),
        (
            {"more.tf": 'resource "terraform_data" "r" {\n  provisioner "local-exec" { command = "id" }\n}'},
            ["more.tf:2", "local-exec"],
        ),
        ({"more.tf": 'resource "google_pubsub_topic" {'}, ["more.tf:1"]),
        ({"manifest.json": '{"stacks": {"a": {"dependencies": [], "synthesizedStackPath": "a/cdk.tf"}}}'}, ["--hcl"]),
    ],
)
def test_what_cannot_be_rehearsed_is_refused_before_anything_runs(
    files: dict[str, str], facts: list[str], landing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in files.items():
        (landing / name).write_text(text)
    assert main([str(landing)]) == 2
    said = capsys.readouterr()
    states(said.err, *facts)
    assert said.out == ""


def test_a_cdktf_stack_whose_state_nobody_writes_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Path(shutil.copytree(EXAMPLES / "shop", tmp_path / "shop"))
    file = shop / "stacks/oncall/cdk.tf.json"
    file.write_text(file.read_text().replace("shop/queue", "another/queue"))
    assert main([str(shop)]) == 2
    states(capsys.readouterr().err, "oncall", "no stack in this folder writes", "another/queue")


def test_a_cdktf_stack_without_a_backend_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Path(shutil.copytree(EXAMPLES / "shop", tmp_path / "shop"))
    file = shop / "stacks/queue/cdk.tf.json"
    config = json.loads(file.read_text())
    config["terraform"] |= {"cloud": {"organization": "shop", "workspaces": {"name": "queue"}}}
    del config["terraform"]["backend"]
    file.write_text(json.dumps(config))
    assert main([str(shop)]) == 2
    states(capsys.readouterr().err, "queue", "backend", "cloud")


@pytest.mark.parametrize("text", ['{"name": "an app"}', '{"stacks": 1}', "[]", "no JSON"])
def test_another_programs_manifest_makes_no_cdktf_output_of_a_folder(text: str, landing: Path) -> None:
    (landing / "manifest.json").write_text(text)
    assert [stack.name for stack in folder.read(landing)] == ["landing"]


def test_a_cdktf_stack_of_another_provider_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Path(shutil.copytree(EXAMPLES / "shop", tmp_path / "shop"))
    file = shop / "stacks/oncall/cdk.tf.json"
    file.write_text(file.read_text().replace('"PagerDuty/pagerduty"', '"opsgenie/opsgenie"'))
    assert main([str(shop)]) == 2
    states(capsys.readouterr().err, "opsgenie/opsgenie", "cdk.tf.json")


def test_a_cdktf_stack_with_a_module_is_rehearsed_with_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Path(shutil.copytree(EXAMPLES / "shop", tmp_path / "shop"))
    shutil.copytree(EXAMPLES / "modules/network", shop / "stacks/oncall/assets/network")
    file = shop / "stacks/oncall/cdk.tf.json"
    config = json.loads(file.read_text())
    config["module"] = {"net": {"source": "./assets/network", "name": "n", "ranges": {"a": "10.0.0.0/20"}}}
    file.write_text(json.dumps(config))
    assert main([str(shop)]) == 0
    said = capsys.readouterr().out
    assert steps(said, "oncall") == STEPS
    states(said, 'module.net.google_compute_subnetwork.this["a"]', "pagerduty_team.orders")


@pytest.mark.parametrize(
    "arguments", [[], ["--var", "nothing", "."], ["--var", "a=[", "."], ["--var-file", "gone", "."]]
)
def test_wrong_use_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_a_folder_without_terraform_or_none_at_all_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == main([str(tmp_path / "gone")]) == 2
    states(capsys.readouterr().err, "no *.tf", "is no folder")
