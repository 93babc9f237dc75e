"""Which lead sources an environment that pages may be planned and deployed with."""

import shutil
from pathlib import Path

import pytest

from infra import sizing
from infra.environment import Environment
from infra.environments import DEV, PROD
from infra.operations import lead_source
from infra.operations.programs import ROOT, Failed
from service.lifecycle.data.source import TrainingRecipe
from service.model.agreement import Agreement
from tests.facts import states

EXAMPLES = ROOT / "service" / "examples"


def source(name: str, root: Path, like: str) -> Path:
    """A copy of one of the repository's lead sources, under another name below `root`."""
    file = root / "service" / "examples" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(EXAMPLES / like, file)
    return file


@pytest.mark.parametrize("name", ["sample.toml", "our_crm.toml"])
def test_the_sample_is_refused_by_what_it_holds_under_any_name(name: str, tmp_path: Path) -> None:
    source(name, tmp_path, like="sample.toml")
    env = PROD.model_copy(update={"lead_source": f"service/examples/{name}"})
    with pytest.raises(Failed, match=r"has a \[sample\]") as refused:
        lead_source.check(env, tmp_path)
    assert name in str(refused.value)
    assert "crm_template.toml" in refused.value.remedy


def test_leads_of_ones_own_pass_even_in_a_file_that_is_called_sample(tmp_path: Path) -> None:
    source("sample.toml", tmp_path, like="bank_marketing.toml")
    lead_source.check(PROD, tmp_path)


@pytest.mark.parametrize("env", [DEV, PROD], ids=lambda env: env.id)
def test_leads_of_ones_own_are_refused_in_every_environment_until_people_have_agreed_on_the_metric(
    env: Environment, tmp_path: Path
) -> None:
    source("sample.toml", tmp_path, like="crm_template.toml")
    with pytest.raises(Failed) as refused:
        lead_source.check(env, tmp_path)
    states(str(refused.value), env.lead_source, *lead_source.AGREEMENT)
    states(refused.value.remedy, "scripts/check --decide", env.lead_source)


def test_the_keys_are_those_without_which_the_service_refuses_a_model() -> None:
    assert Agreement().missing == lead_source.AGREEMENT


def test_a_sample_that_the_jobs_have_no_memory_for_is_refused(tmp_path: Path) -> None:
    file = source("sample.toml", tmp_path, like="bank_marketing.toml")
    text = file.read_text()
    for rows in (lead_source.MOST_ROWS, lead_source.MOST_ROWS + 1):
        lead_source.check(PROD, tmp_path)
        file.write_text(text.replace("[recipe]\n", f"[recipe]\nrows = {rows}\n"))
    with pytest.raises(Failed, match=r"rows = 1000001 in \[recipe\]"):
        lead_source.check(PROD, tmp_path)


def test_the_jobs_have_memory_for_the_sample_that_a_source_takes_by_itself() -> None:
    assert TrainingRecipe().rows == lead_source.MOST_ROWS
    for job in ("train", "retrain"):  # 2 GB of a fit with nine inputs: service/lifecycle/README.md
        assert sizing.JOBS[job].other_bytes >= 2e9
        for leads_per_day in (1, 300_000):
            held = sizing.job_size(job, sizing.Volume(leads_per_day, 379, "duckdb")).memory_gib * 2**30
            assert held >= sizing.ENGINE_BYTES + sizing.PROCESS_BYTES + sizing.JOBS[job].other_bytes


def test_a_source_that_is_not_there_or_is_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="cannot be read"):
        lead_source.check(PROD, tmp_path)
    source("sample.toml", tmp_path, like="sample.toml").write_text("name = ")
    with pytest.raises(Failed, match="cannot be read"):
        lead_source.check(PROD, tmp_path)


def test_where_nobody_is_paged_the_sample_is_welcome() -> None:
    assert DEV.lead_source == PROD.lead_source
    lead_source.check(DEV)
