"""What a runbook tells somebody to type at night names what is there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import monitoring
from infra.environments import PROD
from monitoring.platform import Platform
from tests.infra.conftest import Plans

RUNBOOKS = sorted((Path(monitoring.__file__).parent / "runbooks").iterdir())
each_runbook = pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda path: path.name)


def names(value: Any) -> Iterator[str]:
    """Every name of this environment's in a plan's values."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from names(each)
    elif isinstance(value, str) and value.startswith(PROD.name("")):
        yield value


def meant(text: str) -> set[str]:
    """The resources that commands name by $NAME-..., for every job where they say $JOB."""
    found = set()
    for name in re.findall(r"\$NAME-(\$JOB|[a-z]+(?:-[a-z]+)*)", text):
        found |= {job.name for job in Platform().jobs} if name == "$JOB" else {name}
    return {PROD.name(name) for name in found}


@each_runbook
def test_resources_that_commands_name_are_in_the_plan(runbook: Path, plans: Plans) -> None:
    planned = {
        name
        for plan in plans("prod").values()
        for change in plan["resource_changes"]
        for name in names(change["change"]["after"])
    }
    assert meant(runbook.read_text()) - planned == set()


def test_a_resource_that_is_not_there_would_be_noticed() -> None:
    assert meant('gcloud run jobs execute "$NAME-$JOB"; gcloud storage ls "gs://$NAME-mdels/history"') == {
        *(f"acme-leads-prod-{job}" for job in ("evaluate", "drift", "retrain", "batch")),
        "acme-leads-prod-mdels",
    }


@each_runbook
def test_variables_that_commands_use_are_set_at_the_top(runbook: Path) -> None:
    text = runbook.read_text()
    commands = "\n".join(re.findall(r"^    .+$", text, re.MULTILINE))
    used = set(re.findall(r"\"[^\"]*?\$([A-Z]+)", commands))
    assert used <= set(re.findall(r"^    ([A-Z]+)=", text, re.MULTILINE))


@each_runbook
def test_links_lead_to_files_that_are_there(runbook: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", runbook.read_text()):
        assert link.startswith("https://") or (runbook.parent / link).exists(), link
