import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra.rehearsal import report
from infra.rehearsal.steps import Planned
from tests.infra.conftest import PLANTED_KEY

Rehearsed = Callable[[str], list[Planned]]


def shown(planned: list[Planned], width: int = 200) -> str:
    out = io.StringIO()
    report.show(Console(file=out, width=width), planned)
    return out.getvalue()


def plan(*resources: dict[str, Any]) -> Planned:
    return Planned("dev-x", {"resource_changes": list(resources), "configuration": {"root_module": {}}})


def change(*actions: str, **change: Any) -> dict[str, Any]:
    return {"address": "a_type.a", "type": "a_type", "change": {"actions": list(actions), **change}}


def test_a_reviewer_sees_what_is_added_and_the_values_that_matter(rehearsed: Rehearsed) -> None:
    text = shown(rehearsed("prod"))
    assert re.search(
        r"prod-storage: \d+ to add \(.*\b5 google_storage_bucket, \d+ google_storage_bucket_iam_member", text
    )
    for line in (
        "public_access_prevention enforced",
        "action type Delete, condition age 379, with_state LIVE",
        "member serviceAccount:acme-leads-prod-scoring@acme-leads-prod.iam.gserviceaccount.com",
        "notification_channels from google_monitoring_notification_channel.pagerduty.name",
        'condition.expression resource.name == "projects/_/buckets/acme-leads-prod-models/objects/champion.json"',
        "sum(increase(leadscoring_requests_total",
    ):
        assert line in text


def test_no_value_is_cut_short_in_a_narrow_terminal(rehearsed: Rehearsed) -> None:
    assert "…" not in shown(rehearsed("prod"), width=60)


def test_the_report_and_the_plans_are_written_without_secrets(rehearsed: Rehearsed, tmp_path: Path) -> None:
    written = report.write(tmp_path, rehearsed("prod"), title="Rehearsal of prod", limits=report.LIMITS)
    text = written.read_text()
    assert text.startswith("# Rehearsal of prod\n\nA rehearsal is not the cloud.")
    assert "| add | `google_storage_bucket.leads` | name `acme-leads-prod-leads`<br>" in text
    files = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert files.keys() == {"report.md", *(f"{each.stack}.json" for each in rehearsed("prod"))}
    assert json.loads(files["prod-storage.json"])["resource_changes"]
    assert not any(PLANTED_KEY in content for content in [*files.values(), shown(rehearsed("prod"))])


def test_plans_of_stacks_that_are_gone_are_not_kept(tmp_path: Path) -> None:
    report.write(tmp_path, [Planned("dev-old", plan().plan)], title="t", limits=None)
    report.write(tmp_path, [plan()], title="t", limits=None)
    assert {file.name for file in tmp_path.iterdir()} == {"report.md", "dev-x.json"}


@pytest.mark.parametrize(
    ("actions", "verb"),
    [
        (["create"], "add"),
        (["update"], "change"),
        (["delete"], "destroy"),
        (["delete", "create"], "replace"),
        (["create", "delete"], "replace"),
    ],
)
def test_what_happens_to_a_resource_is_said_in_one_word(actions: list[str], verb: str) -> None:
    found = report.changes(plan(change(*actions, before={"name": "n"}, after=None)).plan)
    assert [(c.verb, c.values) for c in found] == [(verb, (("name", "n"),))]
    assert report.count(found) == f"1 to {verb} (1 a_type)"


@pytest.mark.parametrize("action", ["no-op", "read"])
def test_what_does_not_happen_is_not_shown(action: str) -> None:
    assert report.changes(plan(change(action, after={})).plan) == []
    assert report.count([]) == "no changes"


def test_markdown_is_not_broken_by_values(tmp_path: Path) -> None:
    odd = plan(change("create", after={"name": "a | b\n`c`"}))
    row = report.write(tmp_path, [odd], title="t", limits=None).read_text().splitlines()[-1]
    assert row == "| add | `a_type.a` | name `a \\| b 'c'` |"


def test_markup_in_values_is_shown_as_it_is() -> None:
    assert "increase(x[1h]) > [bold]" in shown([plan(change("create", after={"name": "increase(x[1h]) > [bold]"}))])


def test_a_value_in_a_list_that_is_not_known_yet_is_said_to_be() -> None:
    resource = change("create", after={}, after_unknown={"name": True})
    (found,) = report.changes(plan(resource).plan)
    assert found.values == (("name", "(known after apply)"),)


def test_the_example_answers_in_use_are_shown() -> None:
    assert report.examples({"google_project_without_examples"}) == ""
    shown = report.examples({"google_container_cluster"})
    assert shown.startswith("\nFor an answer of google_container_cluster, control_plane_endpoints_config: [{")
