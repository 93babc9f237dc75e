"""A deploy, whole: real Terraform, its state in a real storage server, a real door; doubles of Google's programs."""

import copy
import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from infra import releases
from infra.environments import DEV, PROD
from infra.operations import deploy, rollout, smoke
from infra.operations.apply import DryRunTerraform
from infra.operations.deployment import Deploy
from infra.operations.first_deploy import NAMESPACE, POINTER
from infra.operations.images import ImageRecipe
from infra.operations.programs import Programs
from infra.rehearsal import schema_cache, terraform
from infra.rehearsal.isolation import environment
from infra.rehearsal.server import REATTACH, serve
from infra.rehearsal.synthesis import Stack, types
from infra.stacks import serving
from service.model import bundle
from tests.facts import states
from tests.infra.conftest import Stacks, stack
from tests.infra.doubles.workplace import COMMIT, Cloud, Door, door

BUCKET, ACCOUNT = "google_storage_bucket", "google_service_account"
SERVICE, OBJECT = "google_cloud_run_v2_service", "kubernetes_manifest"
BASE = f"debian@sha256:{'b' * 64}"
NAME = f"dev-storage/{BUCKET}.b"
OLD: dict[releases.Name, str] = {
    "scoring": f"sha256:{'a1' * 32}",
    "jobs": f"sha256:{'a2' * 32}",
    "mlflow-server": f"sha256:{'a3' * 32}",
}


class Site:
    """An environment to deploy to, with the stacks that a deploy treats each in its way, and two plain ones."""

    def __init__(self, folder: Path, prefix: str, base: dict[str, str], cloud: Cloud, door: Door) -> None:
        self.folder, self.prefix, self.cloud, self.door = folder, prefix, cloud, door
        self.environ = base | cloud.environ()
        self.file = folder / "releases.toml"
        self.file.write_text("# what runs\n\n[dev]\n# by hand\n\n[prod]\n")
        self.patience = 30.0  # seconds; little where a wait is to end in vain
        self.parts: tuple[str, ...] = ("foundation", "storage", "tracking", "serving", "edge", "alerting")
        self.changes: dict[str, dict[str, Any]] = {}  # resources by stack that stand instead of its own

    def stacks(self) -> list[Stack]:
        run = {name: releases.image(DEV, name, releases.load(self.file)) for name in OLD}
        pod = {"spec": {"containers": [{"name": "scoring", "image": run["scoring"]}]}}
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "scoring", "namespace": NAMESPACE},
            "spec": {"template": pod},
        }
        held = {"name": "b", "location": "EU", "force_destroy": False, "lifecycle": {"prevent_destroy": True}}
        server = {
            "name": "s",
            "location": "europe-west1",
            "template": {"containers": [{"image": run["mlflow-server"]}]},
            "lifecycle": {"ignore_changes": ["scaling"]},  # comes back unasked: infra/rehearsal/changes.py
        }
        resources: dict[str, Any] = {
            "foundation": {ACCOUNT: {"a": {"account_id": "some-account"}}},
            "storage": {BUCKET: {"b": held}},
            "serving": {OBJECT: {"deployment": {"manifest": deployment}}},
            "tracking": {SERVICE: {"mlflow": server}},
            "edge": {ACCOUNT: {"e": {"account_id": "other-account"}}},
            "alerting": {ACCOUNT: {"z": {"account_id": "third-account"}}},
        }
        resources |= self.changes
        return [self._stack(part, resources[part]) for part in self.parts]

    def _stack(self, part: str, resource: dict[str, Any]) -> Stack:
        made = stack(name=f"dev-{part}", resource=copy.deepcopy(resource))
        made.config["terraform"]["backend"]["gcs"] = {"bucket": "leads-test", "prefix": f"{self.prefix}/{part}"}
        if OBJECT in resource:
            made.config["terraform"]["required_providers"]["kubernetes"] = {
                "source": "kubernetes",
                "version": "2.38.0",
            }
        return made

    def deploy(self, **given: Any) -> int:
        """Deploy; the exit status."""
        dry = given.pop("dry", False)
        return deploy.run(
            Deploy(
                DEV,
                given.pop("allowed", {}),
                DryRunTerraform(("terraform",), "") if dry else terraform.find(),
                Programs(self.environ, dry),
                recipe=ImageRecipe(BASE, scan_seconds=self.patience, every_seconds=0.01, **given.pop("recipe", {})),
                folder=self.folder / "deploy",
                file=self.file,
                door=self.door.url,
                patience=rollout.Patience(30, self.patience, self.patience, every=0.05),
                synthesize=self.stacks,
                **given,
            )
        )

    def release(self, **digests: str) -> None:
        """Write into the file what somebody has built before."""
        named = {name: digests.get(name.replace("-", "_"), digest) for name, digest in OLD.items()}
        releases.record("dev", named, self.file)


@pytest.fixture
def site(gcs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Site]:
    google = schema_cache.load("registry.terraform.io/hashicorp/google")
    kubernetes = schema_cache.load("registry.terraform.io/hashicorp/kubernetes")
    wanted = [
        schema_cache.select(google, {BUCKET, ACCOUNT, SERVICE}, ()),
        schema_cache.select(kubernetes, {OBJECT}, ()),
    ]
    cloud = Cloud(tmp_path / "cloud")
    with serve(wanted) as reattach, door(tmp_path, smoke.account(DEV), cloud.key) as front:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "door.pem"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        base = environment(tmp_path, reattach, {}) | {
            "GOOGLE_OAUTH_ACCESS_TOKEN": "not-a-token",
            "GOOGLE_BACKEND_STORAGE_CUSTOM_ENDPOINT": f"{gcs}/storage/v1/",
        }
        yield Site(tmp_path, re.sub(r"\W", "-", request.node.name), base, cloud, front)


class Whole(Site):
    """The environment as it is: all stacks that the code makes, their state beside the others'."""

    made: Sequence[Stack] = ()

    def stacks(self) -> list[Stack]:
        run = releases.load(self.file)
        built = []
        for each in self.made:
            text = json.dumps(each.config)
            for name in OLD:
                text = text.replace(f"{DEV.images}/{name}@{releases.PLACEHOLDER}", releases.image(DEV, name, run))
            config = json.loads(text.replace(json.dumps(DEV.state_bucket), '"leads-test"'))
            built.append(Stack(each.name, config, each.needs))
        return built


@pytest.fixture
def whole(gcs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stacks: Stacks) -> Iterator[Whole]:
    made = stacks("dev")
    resources, data = types(made, "resource"), types(made, "data")
    providers = {address for stack in made for address in stack.providers} & schema_cache.BINDINGS.keys()
    wanted = [schema_cache.select(schema_cache.load(each), resources, data) for each in sorted(providers)]
    variables = {name: f"made-up-{name}" for stack in made for name in stack.config.get("variable", {})}
    cloud = Cloud(tmp_path / "cloud")
    with serve(wanted) as reattach, door(tmp_path, smoke.account(DEV), cloud.key) as front:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "door.pem"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        base = environment(tmp_path, reattach, variables) | {
            "GOOGLE_OAUTH_ACCESS_TOKEN": "not-a-token",
            "GOOGLE_BACKEND_STORAGE_CUSTOM_ENDPOINT": f"{gcs}/storage/v1/",
        }
        site = Whole(tmp_path, "", base, cloud, front)
        site.made = made
        yield site


Said = Callable[[], tuple[str, str]]


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Said:
    """What was written to standard output and to standard error since it was asked last."""
    return lambda: tuple(capfd.readouterr())  # type: ignore[return-value]


def applied(out: str) -> list[str]:
    return [line.partition(":")[0].removeprefix("dev-") for line in out.splitlines() if re.match(r"dev-\w+: ", line)]


def test_a_first_deploy_builds_scans_and_pushes_migrates_waits_and_asks_for_a_score(site: Site, said: Said) -> None:
    site.cloud.write(scans_pending=2, zones_after=2)
    assert site.deploy() == 0
    out, _ = said()
    assert applied(out) == ["foundation", "storage", "tracking", "serving", "edge", "alerting"]
    state = site.cloud.state
    written = releases.load(site.file)["dev"]
    assert {f"{DEV.images}/{name}:{COMMIT}": digest for name, digest in written.items()} == state["registry"]
    assert site.file.read_text().startswith("# what runs\n\n[dev]\n# by hand\n")
    assert (state["backups"], state["migrations"], state["asked_for_zones"]) == (1, 1, 2)
    assert site.door.scored == [f"smoke-{COMMIT}"]
    assert "whose record stays" in out
    assert f"backup {1_700_000_000_001} of acme-leads-dev-mlflow" in out
    order = ["docker build", "docker push", "show-package", "backups create", "operations wait", "jobs execute"]
    order += ["storage objects describe", "rollout status", "get service", "sign-jwt"]
    lines = [" ".join(each) for each in site.cloud.asked]
    places = [next(i for i, line in enumerate(lines) if what in line) for what in order]
    assert places == sorted(places)
    assert not list(site.folder.rglob("plan"))


def test_a_second_deploy_builds_nothing_changes_nothing_and_migrates_nothing(site: Site, said: Said) -> None:
    site.parts = ("serving", "tracking", "edge")
    assert site.deploy() == 0
    said()
    site.cloud.forget()
    assert site.deploy() == 0
    out, _ = said()
    assert out.count(": no changes") == 3
    assert site.cloud.calls("docker") == site.cloud.calls("sql") == site.cloud.calls("jobs execute") == 0


def test_a_tag_that_the_registry_holds_is_recognised_and_neither_built_nor_pushed_again(site: Site, said: Said) -> None:
    site.parts = ()
    assert site.deploy() == 0
    said()
    site.cloud.forget()
    assert site.deploy(build=True) == 0
    out, _ = said()
    assert out.count(f"the registry holds {COMMIT[:12]} already") == 3
    assert site.cloud.calls("docker build") == site.cloud.calls("docker push") == 0


def test_a_dry_run_prints_every_command_of_a_deploy_in_order_and_runs_none(site: Site, said: Said) -> None:
    assert site.deploy(dry=True) == 0
    printed = [shlex.split(line) for line in said()[0].splitlines() if not line.startswith("#")]
    assert site.cloud.asked == []
    assert releases.load(site.file) == {"dev": {}, "prod": {}}
    assert site.deploy() == 0
    shown = [[word for word in line if not word.startswith("KUBECONFIG=")] for line in printed]
    run = site.cloud.asked
    names = {"sha256:" + f"{number:064x}": "DIGEST" for number in (1, 2, 3)} | {COMMIT: "COMMIT", "0a1b2c": "OPERATION"}
    text = "\n".join(map(shlex.join, run))
    for real, stands in names.items():
        text = text.replace(real, stands)
    assert text == "\n".join(shlex.join(line) for line in shown if line[0] != "terraform")
    steps = [
        next(word for word in line if word in ("init", "plan", "show", "apply"))
        for line in shown
        if line[0] == "terraform"
    ]
    assert steps == ["init", "plan", "show", "apply"] * 6


@pytest.mark.slow
def test_an_empty_project_is_deployed_trained_deployed_to_the_end_and_then_has_nothing_left_to_change(
    whole: Whole, said: Said
) -> None:
    whole.cloud.write(model=False)
    whole.release()
    names = [stack.name.removeprefix("dev-") for stack in whole.made]
    assert len(names) == 11
    assert whole.deploy(build=False, dry=True) == 0
    shown = said()[0]
    assert re.findall(r"-chdir=\S+/dev-(\w+) plan", shown) == names
    serving = names.index("serving")
    assert {"tracking", "lifecycle"} <= {*names[:serving]}

    assert whole.deploy(build=False) == 1
    out, err = said()
    assert applied(out) == names[:serving]
    assert whole.cloud.calls("kubectl") == 0
    (train,) = re.findall(r"train first: (gcloud .*)", err)
    assert train in shown
    job = train.split()[4].removeprefix(f"{DEV.prefix}-dev-")
    lifecycle = whole.made[names.index("lifecycle")]
    assert job in lifecycle.config["resource"]["google_cloud_run_v2_job"]
    subprocess.run(shlex.split(train), env=whole.environ, check=True)

    assert whole.deploy(build=False) == 0
    out, _ = said()
    assert applied(out) == names
    assert (whole.cloud.state["backups"], whole.cloud.state["migrations"]) == (1, 1)
    assert whole.deploy(build=False) == 0
    again, _ = said()
    assert re.findall(r"^dev-(\w+): no changes", again, re.M) == names
    assert (whole.cloud.state["backups"], whole.cloud.state["migrations"]) == (1, 1)


@pytest.mark.parametrize("missing", [{"repository": False}, {"api_off": True}])
def test_where_no_registry_is_yet_the_foundation_is_applied_before_the_images_are_built(
    missing: dict[str, bool], site: Site, said: Said
) -> None:
    site.parts = ("foundation", "storage")
    site.cloud.write(**missing)
    assert site.deploy() == 0
    assert applied(said()[0])[:3] == ["foundation", "foundation", "storage"]


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("rev-parse", "not a git repository"),
        ("repositories describe", "PERMISSION_DENIED"),
        ("configure-docker", "no such host"),
        ("docker build", "no space left"),
        ("docker push", "denied"),
        ("images describe", "PERMISSION_DENIED"),
    ],
)
def test_a_release_that_fails_changes_nothing_and_says_what_failed(
    what: str, says: str, site: Site, said: Said
) -> None:
    site.cloud.fail(what, says)
    before = site.file.read_text()
    assert site.deploy() == 1
    out, err = said()
    assert " ".join(what.split()[:1]) in err
    assert says in err
    assert applied(out) == []
    states(err, "nothing")
    assert site.file.read_text() == before


def test_what_is_not_committed_is_not_released(site: Site, said: Said) -> None:
    site.cloud.write(changed=" M service/api/app.py\n")
    assert site.deploy() == 1
    states(said()[1], "M service/api/app.py", "commit")
    assert site.cloud.calls("docker ") == 0


@pytest.mark.parametrize("base", ["", "python:3.11-slim-bookworm"])
def test_a_base_image_without_a_digest_is_refused(base: str, site: Site, said: Said) -> None:
    site.cloud.forget()
    made = Deploy(DEV, {}, terraform.find(), Programs(site.environ), recipe=ImageRecipe(base), file=site.file)
    assert deploy.run(made) == 1
    states(said()[1], base or "base", "digest")
    assert site.cloud.calls("docker") == 0


def flaw(*, fix: bool) -> dict[str, Any]:
    version = {"fullName": "3.0.14", "kind": "NORMAL"} if fix else {"kind": "MAXIMUM"}
    issue = {"affectedPackage": "openssl", "fixedVersion": version, "fixAvailable": fix}
    return {
        "noteName": "projects/goog-vulnz/notes/CVE-2026-1234",
        "vulnerability": {"effectiveSeverity": "CRITICAL", "fixAvailable": fix, "packageIssue": [issue]},
    }


def test_a_critical_vulnerability_with_a_fix_is_refused_unless_it_is_named_with_a_reason(
    site: Site, said: Said
) -> None:
    site.parts = ()
    site.cloud.write(critical=[flaw(fix=True)])
    assert site.deploy() == 1
    out, err = said()
    assert "CVE-2026-1234 openssl -> 3.0.14" in err
    assert "--allow-vulnerability" in err
    assert applied(out) == []
    assert releases.load(site.file)["dev"] == {}
    reason = {"CVE-2026-1234": "the code is never reached"}
    assert site.deploy(recipe={"allowed": reason}, no_smoke="not this time") == 0
    states(said()[0].splitlines(), "critical", "the code is never reached", "CVE-2026-1234")
    site.cloud.write(critical=[])
    assert site.deploy(build=True, recipe={"allowed": reason}) == 1
    states(said()[1].splitlines(), "--allow-vulnerability", "no image", "CVE-2026-1234")


def test_a_critical_vulnerability_that_nobody_has_fixed_yet_is_shown(site: Site, said: Said) -> None:
    site.parts = ()
    site.cloud.write(critical=[flaw(fix=False)])
    assert site.deploy() == 0
    states(said()[0].splitlines(), "critical", "CVE-2026-1234", "openssl", "no fix")


@pytest.mark.parametrize(
    ("scan", "says"), [("FINISHED_FAILED", ["scan", "FINISHED_FAILED"]), ("SCANNING", ["scan", "no end"])]
)
def test_an_image_that_was_not_scanned_is_not_deployed(scan: str, says: list[str], site: Site, said: Said) -> None:
    site.patience = 0.3
    site.cloud.write(scan=scan)
    assert site.deploy(recipe={}) == 1
    out, err = said()
    states(err, *says)
    assert applied(out) == []


@pytest.mark.slow
def test_between_two_releases_the_schema_is_migrated_after_a_backup_and_only_for_a_new_mlflow(
    site: Site, said: Said
) -> None:
    site.parts = ("tracking",)
    site.release()
    assert site.deploy() == 0
    site.release(scoring=f"sha256:{'e1' * 32}")
    assert site.deploy() == 0
    assert site.cloud.state["migrations"] == 1
    site.release(mlflow_server=f"sha256:{'e3' * 32}")
    assert site.deploy() == 0
    assert (site.cloud.state["migrations"], site.cloud.state["backups"]) == (2, 2)
    said()


@pytest.mark.parametrize(
    ("what", "says", "migrations"),
    [
        pytest.param("sql backups create", ["no backup", "database"], 0, marks=pytest.mark.slow),
        pytest.param("sql operations wait", ["no backup", "database"], 0, marks=pytest.mark.slow),
        ("jobs execute", ["migration", "database", "failed"], 0),
    ],
)
def test_a_migration_that_fails_ends_the_deploy_before_the_new_server_and_the_next_one_tries_again(
    what: str, says: list[str], migrations: int, site: Site, said: Said
) -> None:
    site.parts = ("foundation", "tracking", "alerting")
    site.release()
    site.cloud.fail(what, "internal error")
    assert site.deploy() == 1
    out, err = said()
    states(err, *says)
    assert applied(out) == ["foundation"]
    assert "Not reached: dev-tracking, dev-alerting" in err
    assert site.cloud.state["migrations"] == migrations
    if what == "jobs execute":
        assert "gcloud sql backups restore 1700000000001 --restore-instance=acme-leads-dev-mlflow" in err
    assert site.deploy() == 0
    assert site.cloud.state["migrations"] == 1


NEW = f"sha256:{'f1' * 32}"


def serves(site: Site) -> str:
    """The digest that a plan of the serving stack starts from."""
    engine = terraform.find()
    _, shown = engine.run("show", "-no-color", folder=site.folder / "deploy" / "dev-serving", env=site.environ)
    (digest,) = set(re.findall(r"/scoring@(sha256:[0-9a-f]{64})", shown))
    return str(digest)


def test_pods_that_do_not_come_up_are_taken_back_to_the_image_before(site: Site, said: Said) -> None:
    site.parts = ("serving", "edge")
    site.release()
    assert site.deploy() == 0
    said()
    site.release(scoring=NEW, mlflow_server=NEW)
    site.cloud.fail("rollout status", "error: timed out waiting for the condition")
    assert site.deploy() == 1
    out, err = said()
    states(out + err, "timed out")
    states(err.splitlines(), "PUT BACK", f"to {DEV.images}/scoring@{OLD['scoring']}", f"{DEV.images}/scoring@{NEW}")
    assert "Not reached: dev-edge" in err
    assert serves(site) == OLD["scoring"]
    assert releases.load(site.file)["dev"] == {**OLD, "mlflow-server": NEW}
    assert site.cloud.calls("rollout status") == 3  # the first deploy, the one that failed, and what was put back


def test_pods_that_do_not_answer_are_taken_back_and_other_stacks_stay(site: Site, said: Said) -> None:
    site.parts = ("serving", "tracking", "edge")
    site.release()
    assert site.deploy() == 0
    said()
    site.release(scoring=NEW, mlflow_server=NEW)
    site.patience = 0.3
    site.door.answers["/v1/score"] = (500, {"title": "no"})
    assert site.deploy() == 1
    err = said()[1]
    assert "POST /v1/score answers 500" in err
    assert "PUT BACK" in err
    assert "dev-tracking: 1 to change" in err
    assert serves(site) == OLD["scoring"]
    del site.door.answers["/v1/score"]
    site.patience = 30
    assert site.deploy() == 0
    assert said()[0].count(": no changes") == 3


@pytest.mark.slow
def test_a_first_image_that_does_not_come_up_has_none_to_go_back_to(site: Site, said: Said) -> None:
    site.parts = ("serving",)
    site.release()
    site.cloud.fail("rollout status", "error: timed out", times=9)
    assert site.deploy() == 1
    states(said()[1], "nothing to put back", "first")
    site.cloud.fail("rollout status", "error: timed out", times=9)
    assert site.deploy() == 1
    states(said()[1], "nothing to put back", "before")


@pytest.mark.slow
def test_when_even_putting_back_fails_it_is_said_and_the_record_is_left(site: Site, said: Said) -> None:
    site.parts = ("serving",)
    site.release()
    assert site.deploy() == 0
    said()
    site.release(scoring=NEW)
    site.cloud.fail("rollout status", "error: timed out", times=9)
    assert site.deploy() == 1
    assert "PUTTING BACK" in said()[1]
    assert releases.load(site.file)["dev"]["scoring"] == NEW


def test_the_edge_waits_for_the_endpoint_groups_of_enough_zones(site: Site, said: Said) -> None:
    site.patience = 0.3
    site.parts = ("serving", "edge")
    site.release()
    site.cloud.write(zones=[])
    assert site.deploy() == 1
    out, err = said()
    states(err, "endpoint groups", "leadscoring/scoring", "1 zones")
    assert "edge" not in applied(out)
    assert site.cloud.state["asked_for_zones"] >= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "answer", "remedy"),
    [
        ("/readyz", (503, {"title": "no model is loaded yet"}), "publish a model"),
        ("/v1/model", (403, {}), "identity-aware proxy"),
        ("/v1/score", (200, {"scores": [{"lead_id": "another"}]}), "the service's log"),
    ],
)
def test_a_door_that_does_not_answer_as_it_should_is_told_with_what_to_do(
    path: str, answer: tuple[int, Any], remedy: str, site: Site, said: Said
) -> None:
    site.patience = 0.3
    site.parts = ("serving", "edge")
    site.release()
    site.door.answers[path] = answer
    assert site.deploy() == 1
    err = said()[1]
    states(err.splitlines(), path, answer[0])
    states(err, remedy)


@pytest.mark.slow
def test_a_door_that_answers_anybody_fails_the_deploy(site: Site, said: Said) -> None:
    site.patience = 0.3
    site.parts = ("serving", "edge")
    site.release()
    site.door.closed = False
    assert site.deploy() == 1
    states(said()[1].splitlines(), "without an identity", "/v1/model", 200)


@pytest.mark.slow
def test_a_token_that_cannot_be_signed_names_the_role_that_is_missing(site: Site, said: Said) -> None:
    site.parts = ("serving", "edge")
    site.release()
    site.cloud.fail("sign-jwt", "PERMISSION_DENIED: iam.serviceAccounts.signJwt")
    assert site.deploy() == 1
    states(said()[1], "roles/iam.serviceAccountTokenCreator", smoke.account(DEV))


@pytest.mark.slow
def test_without_a_smoke_test_nobody_is_asked_and_the_reason_is_kept(site: Site, said: Said) -> None:
    site.parts = ("serving", "edge")
    site.release()
    site.door.answers["/readyz"] = (503, {})
    assert site.deploy(no_smoke="the domain is not registered yet") == 0
    assert site.cloud.calls("sign-jwt") == 0
    states(said()[0].splitlines(), "smoke test", "the domain is not registered yet")


def test_programs_that_are_not_there_are_named_before_anything_is_done(site: Site, said: Said) -> None:
    for name in ("kubectl", "docker"):
        (site.cloud.bin / name).unlink()
    site.environ["PATH"] = str(site.cloud.bin)
    assert site.deploy() == 1
    states(said()[1], "PATH", "kubectl", "docker")
    assert site.cloud.asked == []


def test_the_sample_is_not_deployed_where_somebody_is_paged(site: Site, said: Said) -> None:
    programs = Programs(site.environ)
    assert deploy.run(Deploy(PROD, {}, terraform.find(), programs, build=False, file=site.file)) == 1
    states(said()[1], "lead_source", "prod", "service/examples/sample.toml", "[sample]")
    assert site.cloud.asked == []


def test_a_dry_run_shows_what_would_be_done_where_the_lead_source_is_still_the_sample(site: Site, said: Said) -> None:
    programs = Programs(site.environ, dry=True)
    dry = Deploy(PROD, {}, DryRunTerraform(("terraform",), ""), programs, build=False, file=site.file)
    assert deploy.run(dry) == 0
    said()


def test_what_holds_data_is_not_lost_and_nothing_after_it_is_touched(site: Site, said: Said) -> None:
    site.parts = ("foundation", "storage", "alerting")
    site.release()
    assert site.deploy() == 0
    said()
    held = {"name": "b", "location": "EU", "force_destroy": False, "lifecycle": {"prevent_destroy": False}}
    site.changes = {
        "storage": {BUCKET: {"b": held}},
        "alerting": {ACCOUNT: {"z": {"account_id": "third-account", "display_name": "new"}}},
    }
    assert site.deploy() == 1
    out, err = said()
    states(err.splitlines(), "REFUSED", NAME, "prevent_destroy")
    assert applied(out) == ["foundation"]
    assert site.deploy(allowed={NAME: "its content was copied elsewhere"}) == 0
    assert "dev-alerting: 1 to change" in said()[0]


@pytest.mark.slow
def test_what_terraform_refuses_is_shown_and_ends_the_deploy(site: Site, said: Said) -> None:
    site.parts = ("foundation", "storage")
    site.release()
    site.changes = {"storage": {BUCKET: {"b": {"name": "b", "location": "EU", "labels": "none"}}}}
    assert site.deploy() == 1
    err = said()[1]
    assert "dev-storage: plan failed" in err
    assert "dev-foundation: 1 to add" in err


def test_an_image_that_nobody_released_ends_a_deploy_that_builds_none(site: Site, said: Said) -> None:
    site.parts = ("foundation", "serving")
    assert site.deploy(build=False) == 1
    out, err = said()
    states(err, "infra/releases.toml", "no digest", "scoring")
    assert applied(out) == ["foundation"]


def test_no_pod_is_deployed_while_no_model_is_published(site: Site, said: Said) -> None:
    site.parts = ("tracking", "serving", "edge")
    site.release()
    site.cloud.write(model=False)
    assert site.deploy() == 1
    out, err = said()
    assert applied(out) == ["tracking"]
    states(err, "gs://acme-leads-dev-models/champion.json", "missing")
    train = "gcloud run jobs execute acme-leads-dev-train --region=europe-west1 --project=acme-leads-dev --wait"
    states(err, train)
    assert "Not reached: dev-serving, dev-edge" in err


def test_a_deploy_stops_at_once_where_a_secret_has_no_value_or_a_variable_is_not_set(site: Site, said: Said) -> None:
    name = "acme-leads-dev-migrator-password"
    volume = {"name": "password", "secret": {"secret": f"projects/p/secrets/{name}", "items": [{"version": "latest"}]}}
    job = {"name": "m", "location": "europe-west1", "template": {"template": {"volumes": [volume]}}}
    owner = {"account_id": "some-account", "description": "${var.migrator_password}"}
    site.parts = ("foundation", "tracking")
    site.changes = {"tracking": {SERVICE: {"m": job}, ACCOUNT: {"owner": owner}}}
    site.release()
    site.cloud.write(valueless=[name])
    assert site.deploy() == 1
    out, err = said()
    assert applied(out) == ["foundation"]
    states(err, f"gcloud secrets versions add {name}")
    site.cloud.write(valueless=[])
    assert site.deploy() == 1
    states(said()[1], "TF_VAR_migrator_password", f"gcloud secrets versions access latest --secret={name}")


def test_a_domain_without_a_record_ends_the_deploy_at_once_and_takes_nothing_back(
    site: Site, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "leads.invalid")
    site.parts = ("edge",)
    site.release()
    site.door.url = "https://leads.invalid"
    assert site.deploy() == 1
    states(said()[1], "https://leads.invalid", "address_record", "certificate_record", "--no-smoke")
    assert site.cloud.calls("sign-jwt") == 0


def test_a_models_bucket_that_may_not_be_read_is_no_missing_model(site: Site, said: Said) -> None:
    site.parts = ("serving",)
    site.release()
    site.cloud.fail("objects describe", "ERROR: (gcloud.storage.objects.describe) HTTPError 403: Forbidden")
    assert site.deploy() == 1
    out, err = said()
    assert applied(out) == []
    assert "HTTPError 403" in err
    assert "train" not in err


def test_names_that_a_deploy_shares_with_other_packages_are_the_same() -> None:
    assert serving.NAMESPACE == NAMESPACE
    assert bundle.POINTER == POINTER


def test_stand_ins_are_refused(monkeypatch: pytest.MonkeyPatch, said: Said) -> None:
    monkeypatch.setenv(REATTACH, "{}")
    with pytest.raises(SystemExit) as ended:
        deploy.main(["dev"])
    assert ended.value.code == 1
    states(said()[1], "real providers")


@pytest.mark.parametrize(
    "arguments",
    [["nowhere"], ["dev", "--allow", "no reason"], ["dev", "--allow-vulnerability", "CVE-2026-1=short"]],
)
def test_wrong_use_is_told(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as wrong:
        deploy.main(arguments)
    assert wrong.value.code == 2
