"""The tables of permissions: true to the data set that they are condensed from, and without a row that nobody needs."""

import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from infra.environments import ENVIRONMENTS
from infra.permissions import condense, tables
from infra.permissions.grants import accounts
from infra.rehearsal.synthesis import types
from tests.infra.conftest import SPARK, Stacks

ROOT = Path(__file__).parents[3]
CLIENT = re.compile(r'from google\.cloud import|google\.auth\.default|id_token\.fetch|^ *"gcloud",|\("gcloud"', re.M)


@pytest.fixture
def data() -> dict[str, Any]:
    """Google's roles and methods as the data set has them."""
    path = os.environ.get("GOOGLE_IAM_ROLES")
    if not path:
        pytest.skip("GOOGLE_IAM_ROLES does not name a table of Google's roles and methods (JSON, gzip)")
    with gzip.open(path) as file:
        return dict(json.load(file))


def test_the_facts_are_those_of_the_data_set(data: dict[str, Any]) -> None:
    assert condense.FILE.read_text() == condense.condense(data), "run python -m infra.permissions.condense FILE"


def test_permissions_of_several_roles_are_counted_once_each(data: dict[str, Any]) -> None:
    google = tables.read().google
    own = {f"roles/{id}" for id in tables.read_own_roles()}
    for roles in (
        frozenset(google.roles) - own,
        frozenset({"roles/compute.viewer", "roles/compute.networkViewer", "roles/iam.securityReviewer"}),
    ):
        assert google.held(roles) == len({permission for role in roles for permission in data["roles"][role]})


def test_every_type_in_use_has_a_row_and_no_row_is_of_a_type_that_is_not(stacks: Stacks) -> None:
    everything = [stack for env in ENVIRONMENTS for stack in stacks(env)]
    used = types(everything, "resource") | types(everything, "data") - {"terraform_remote_state"}
    assert {name for name in used if name.startswith(("google_", "kubernetes_"))} == tables.read().types.keys()


def test_every_file_that_calls_google_is_named_by_a_call_and_every_file_that_is_named_exists() -> None:
    """A client of Google's, or gcloud, in a file that no call names: nobody has said what it needs."""
    calling = {
        file.relative_to(ROOT).as_posix()
        for folder in ("service", "mlflow-server", "infra/operations")
        for file in (ROOT / folder).rglob("*.py")
        if CLIENT.search(file.read_text())
    }
    assert {"service/storage.py", "infra/operations/smoke.py"} <= calling
    named = {call.place.partition(":")[0] for calls in tables.read().calls.values() for call in calls}
    assert calling - named == set()
    files = {place for place in named if place.startswith(("service/", "infra/", "mlflow-server/", ".github/"))}
    assert [place for place in files if not (ROOT / place).is_file()] == []


def test_every_identity_that_calls_is_a_person_or_an_account_of_the_stacks(stacks: Stacks) -> None:
    """The calls of any other name would be left out without a word."""
    environments = ENVIRONMENTS | {SPARK.id: SPARK}
    made = frozenset[str]().union(*(accounts(env, stacks(name)) for name, env in environments.items()))
    calls = tables.read().calls
    calling = calls.keys() | {who for rows in calls.values() for call in rows for who in call.also}
    assert calling - made == {"person"}


def test_no_row_says_of_a_method_what_nobody_calls() -> None:
    assert tables.read().methods.keys() <= condense.used_methods()


def test_a_permission_that_is_left_out_is_one_that_the_data_set_lists() -> None:
    known = tables.read()
    for name, row in known.methods.items():
        assert set(row.leave_out) <= set(known.google.methods.get(name, ())), name


def test_a_permission_is_not_left_out_without_a_reason() -> None:
    with pytest.raises(ValidationError, match="leave_out needs because"):
        tables.Method(source="s", leave_out=("a.b.c",))


def test_an_insert_deletes_only_to_overwrite_and_a_run_has_no_overrides() -> None:
    known = tables.read()
    assert known.permissions("storage.objects.insert") == frozenset({"storage.objects.create"})
    assert known.permissions("storage.objects.overwrite") == frozenset({"storage.objects.delete"})
    assert known.permissions("run.projects.locations.jobs.run") == frozenset({"run.jobs.run"})
    assert known.permissions("storage.objects.fold") is None
