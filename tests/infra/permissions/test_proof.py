"""That each identity can do its work in every environment, and that a right taken away is found."""

import copy
from collections.abc import Iterable
from dataclasses import replace

import pytest

from infra.environments import ENVIRONMENTS, PROD
from infra.operations import owner
from infra.permissions import tables
from infra.permissions.grants import Grant, granted
from infra.permissions.needs import TERRAFORM, needs, types_without_a_row, work
from infra.permissions.proof import WIDEST, missing, prove
from infra.permissions.tables import Method, ResourceType, Tables
from infra.rehearsal.synthesis import Stack
from tests.infra.conftest import SPARK, Stacks, stack

KNOWN = tables.read()


def without(stacks: Iterable[Stack], type_name: str, *names: str) -> list[Stack]:
    """The stacks less some resources."""
    made = []
    for each in stacks:
        config = copy.deepcopy(each.config)
        for name in names:
            config.get("resource", {}).get(type_name, {}).pop(name, None)
        made.append(Stack(each.name, config, each.needs))
    return made


def gaps(stacks: Iterable[Stack], owned: Iterable[Grant] = (), known: Tables = KNOWN) -> dict[str, str]:
    """What a proof of PROD finds, by identity and permission."""
    return {gap.name: gap.says for gap in prove(PROD, [*stacks], [*(owned or owner.grants())], known).gaps}


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_no_identity_of_ours_lacks_a_permission(env: str, stacks: Stacks) -> None:
    proof = prove(ENVIRONMENTS[env], stacks(env), owner.grants(), KNOWN)
    assert proof.gaps == ()
    expected = {"person", "deployer", "planner", "scoring", "jobs", "compact", "mlflow", "migrator", "smoke", "starter"}
    expected |= {"nodes", "probe", "reporter"}
    assert {held.identity for held in proof.identities} == expected | ({"watcher"} if env == "prod" else set())


def test_the_planners_roles_of_old_leave_two_gaps(stacks: Stacks) -> None:
    """Without them no refresh of the peering and of the budget is possible, and so no plan of CI."""
    old = without(stacks("prod"), "google_project_iam_member", "planner_compute_networkViewer")
    owned = [grant for grant in owner.grants() if (grant.identity, grant.role) != ("planner", "roles/billing.viewer")]
    found = gaps(old, owned)
    assert found.keys() == {"planner/servicenetworking.services.get", "planner/billing.budgets.get"}
    peering, budget = (found[name] for name in sorted(found, reverse=True))
    assert "missing on project, for read of google_service_networking_connection" in peering
    assert "roles/servicenetworking.networksAdmin" in peering
    assert "missing on the billing account, for read of google_billing_budget" in budget
    assert "roles/billing.costsManager" in budget


def test_every_grant_to_an_account_of_ours_is_needed(stacks: Stacks) -> None:
    """Each is taken away once. The deployer's right to the states is in its role on all buckets, which is by hand."""
    grants = [*owner.grants(), *granted(PROD, stacks("prod"))]
    needed, _ = needs(work(PROD, stacks("prod"), KNOWN), KNOWN)
    idle = []
    for grant in grants:
        mine = [need for need in needed if need.identity == grant.identity]
        others = [other for other in grants if other.identity == grant.identity and other is not grant]
        if mine and not missing(mine, others, KNOWN.google):
            idle.append((grant.identity, grant.role, grant.on))
    assert idle == [("deployer", "roles/storage.objectUser", "buckets/state")]


def test_with_spark_no_identity_lacks_a_permission_and_every_grant_is_needed(stacks: Stacks) -> None:
    assert prove(SPARK, stacks("spark"), owner.grants(), KNOWN).gaps == ()
    grants = granted(SPARK, stacks("spark"))
    needed, _ = needs(work(SPARK, stacks("spark"), KNOWN), KNOWN)
    for grant in (grant for grant in grants if grant.identity in ("spark", "jobs")):
        mine = [need for need in needed if need.identity == grant.identity]
        assert missing(mine, [other for other in grants if other is not grant], KNOWN.google), grant


def test_a_role_of_the_projects_own_holds_what_its_calls_ask_for_and_no_more(stacks: Stacks) -> None:
    needed, _ = needs(work(SPARK, stacks("spark"), KNOWN), KNOWN)
    asked = {need.permission for need in needed if need.identity == "jobs" and need.permission.startswith("dataproc.")}
    (own,) = tables.read_own_roles().values()
    assert own.permissions == asked


def test_the_batches_account_may_change_no_bucket_but_its_own(stacks: Stacks) -> None:
    held = [grant for grant in granted(SPARK, stacks("spark")) if grant.identity == "spark"]
    for bucket, expected in (("spark", True), ("predictions", False), ("leads", False), ("models", False)):
        for permission in ("storage.objects.create", "storage.objects.delete"):
            on = f"buckets/{bucket}/objects/x"
            may = any(permission in KNOWN.google.roles[each.role].holds for each in held if each.covers(on))
            assert may is expected, (permission, bucket)


def test_a_person_needs_the_use_of_the_project_as_quota_project_and_the_planner_does_not(stacks: Stacks) -> None:
    owned = [grant for grant in owner.grants() if grant.role != "roles/serviceusage.serviceUsageAdmin"]
    assert "person/serviceusage.services.use" in gaps(stacks("prod"), owned)
    needed, _ = needs(work(PROD, stacks("prod"), KNOWN), KNOWN)
    assert {need.identity for need in needed if need.permission == "serviceusage.services.use"} == {"person"}
    planner = {grant.role for grant in granted(PROD, stacks("prod")) if grant.identity == "planner"}
    assert not any("serviceusage.services.use" in KNOWN.google.roles[role].holds for role in planner)


def test_a_person_who_builds_images_reads_what_the_scanner_found(stacks: Stacks) -> None:
    owned = [grant for grant in owner.grants() if grant.role not in owner.PERSON]
    assert gaps(stacks("prod"), owned).keys() == {"person/containeranalysis.occurrences.list"}


def test_without_the_special_cases_a_create_only_uploader_would_seem_to_lack_delete(stacks: Stacks) -> None:
    known = replace(KNOWN, methods={n: row for n, row in KNOWN.methods.items() if n != "storage.objects.insert"})
    assert "scoring/storage.objects.delete" in gaps(stacks("prod"), known=known)


def test_a_grant_whose_condition_is_another_bucket_s_folder_is_found(stacks: Stacks) -> None:
    moved = without(stacks("prod"), "google_storage_bucket_iam_member")
    for each in moved:
        grant = each.config.get("resource", {}).get("google_storage_bucket_iam_member", {}).get("models_jobs_lease")
        if grant:
            grant["condition"]["expression"] = grant["condition"]["expression"].replace("leases/", "lease/")
    assert {name for name, says in gaps(moved).items() if "objects/leases/" in says} == {"jobs/storage.objects.delete"}


def test_a_method_that_nobody_knows_is_unknown_and_never_proven(stacks: Stacks) -> None:
    row = ResourceType(source="s", read=("cloudkms.projects.locations.keyRings.glance",))
    known = replace(KNOWN, types=KNOWN.types | {"google_kms_key_ring": row})
    before, after = (prove(PROD, stacks("prod"), owner.grants(), tables_) for tables_ in (KNOWN, known))
    assert {call.method for call in after.unknown} - {call.method for call in before.unknown} == {row.read[0]}
    needed = [sum(held.needed for held in proof.identities) for proof in (before, after)]
    assert needed[1] < needed[0]


def test_what_no_table_knows_fails(stacks: Stacks) -> None:
    new = stack(
        resource={
            "google_pubsub_topic": {"t": {}},
            "google_service_account": {"robot": {"account_id": PROD.name("robot")}},
            "google_project_iam_member": {
                "r": {"role": "roles/made.up", "member": "serviceAccount:${google_service_account.robot.email}"}
            },
        }
    )
    assert gaps([*stacks("prod"), new]).keys() == {
        "types/google_pubsub_topic",
        "robot/calls",
        "roles/made.up/permissions",
    }
    assert types_without_a_row([stack(data={"google_new": {}}), stack(resource={"random_id": {}})], KNOWN) == [
        "google_new"
    ]


def test_the_planner_is_asked_for_no_more_than_reading(stacks: Stacks) -> None:
    assert TERRAFORM["planner"] == ("read",)
    needed, _ = needs(work(PROD, stacks("prod"), KNOWN), KNOWN)
    verbs = {need.permission.rpartition(".")[2] for need in needed if need.identity == "planner"}
    assert verbs == {"get", "list", "getIamPolicy", "listServerCas", "connect"}


def test_what_a_method_asks_for_on_what_it_names_is_needed_too(stacks: Stacks) -> None:
    owned = [grant for grant in owner.grants() if grant.role != "roles/iam.serviceAccountUser"]
    assert gaps(stacks("prod"), owned).keys() == {
        "person/iam.serviceAccounts.actAs",
        "deployer/iam.serviceAccounts.actAs",
    }
    row = Method(source="s", permissions=("run.jobs.fly",))
    known = replace(KNOWN, methods=KNOWN.methods | {"run.projects.locations.jobs.create": row})
    assert "the narrowest role that holds it is unknown" in gaps(stacks("prod"), known=known)["deployer/run.jobs.fly"]


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_widest_grants_are_justified_and_nothing_else_is(env: str, stacks: Stacks) -> None:
    proof = prove(ENVIRONMENTS[env], stacks(env), owner.grants(), KNOWN)
    keys = [f"{held.identity} {held.roles[0]}" for held in proof.grants]
    assert set(keys[:WIDEST]) <= KNOWN.justified.keys() <= set(keys)
    assert all(len(reason) > 20 for reason in KNOWN.justified.values())
