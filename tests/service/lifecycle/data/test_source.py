"""A lead source is read from TOML, and each mistake in it is named by its key."""

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.lifecycle.data.leads import load
from service.lifecycle.data.source import Source, SourceError, TrainingRecipe, load_source
from tests.facts import states, stating

EXAMPLES = Path(__file__).parents[4] / "service" / "examples"

COMPLETE = """
name = "crm"
path = "leads.csv"
target_column = "won"
positive = "yes"
leaks = ["contract_value"]
metric = "profit"
metric_reason = "A missed lead costs more than a call."
agreed_by = "Sales and finance"
agreed_on = 2025-01-31
[economics]
conversion_value = 100.0
contact_cost = 5
"""


def written(folder: Path, toml: str) -> Path:
    file = folder / "crm.toml"
    file.write_text(toml)
    return file


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_example_is_a_valid_source(example: Path) -> None:
    assert load_source(example).name


def test_the_template_shows_every_key_of_a_source() -> None:
    template = (EXAMPLES / "crm_template.toml").read_text()
    assert [key for key in Source.model_fields if f"{key} =" not in template and f"[{key}]" not in template] == [
        "sample"
    ]


def test_the_template_reads_the_export_in_the_folder_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leads.csv").write_text(
        "size,converted\n" + "".join(f"{number % 7},{'yes' if number % 3 else 'no'}\n" for number in range(200))
    )
    monkeypatch.setenv("CRM_EXPORT", str(tmp_path))
    leads = load(load_source(EXAMPLES / "crm_template.toml"))
    assert (list(leads.frame.columns), len(leads.target), int(leads.target.sum())) == (["size"], 200, 133)


def test_the_template_with_every_optional_key_uncommented_is_valid_but_for_the_second_time_order(
    tmp_path: Path,
) -> None:
    lines = (EXAMPLES / "crm_template.toml").read_text().splitlines()
    keys = (
        *Source.model_fields,
        *TrainingRecipe.model_fields,
        "contacts_per_1000_leads",
        "days_since_last_contact",
        "postal_code",
        "[",
    )
    full = "\n".join(
        li[2:] if li.startswith("# ") and li[2:].startswith(keys) and ("=" in li or "[" in li) else li for li in lines
    )
    with pytest.raises(SourceError, match=stating("time_column", "rows_in_time_order", "not both")):
        load_source(written(tmp_path, full))
    source = load_source(written(tmp_path, full.replace("rows_in_time_order = true", "")))
    assert source.kinds == {"postal_code": "category"}
    assert source.economics.contacts_per_1000_leads == 250
    assert source.recipe == TrainingRecipe(
        candidate="logistic_regression",
        half_life_leads=20_000,
        search_seconds=60,
        monotone={"days_since_last_contact": "decreasing"},
    )


def test_a_complete_source_is_read_as_written(tmp_path: Path) -> None:
    source = load_source(written(tmp_path, COMPLETE))
    assert (source.metric, source.agreed_on, source.economics.contact_cost) == ("profit", date(2025, 1, 31), 5)
    assert source.economics.contacts_per_1000_leads == 1000
    assert source.location == str(tmp_path / "leads.csv")
    assert not source.in_time_order
    assert source.recipe == TrainingRecipe(candidate="best", half_life_leads=None)
    assert source.exploration.share == 0
    exploring = load_source(written(tmp_path, COMPLETE + "\n[exploration]\nshare = 0.05\n"))
    assert exploring.exploration.share == 0.05


def test_a_source_that_nobody_agreed_on_is_read_compared_by_profit_and_names_what_it_lacks(tmp_path: Path) -> None:
    source = load_source(written(tmp_path, COMPLETE))
    assert source.agreement is not None
    assert source.agreement.missing == ()
    kept = [line for line in COMPLETE.splitlines() if not line.startswith(("metric", "agreed_on"))]
    bare = load_source(written(tmp_path, "\n".join(kept)))
    assert bare.metric == "profit"
    assert bare.agreement is not None
    assert bare.agreement.missing == ("metric", "metric_reason", "agreed_on")
    assert load_source(EXAMPLES / "sample.toml").agreement is None


def test_a_variable_in_the_path_is_expanded_and_a_missing_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = load_source(written(tmp_path, COMPLETE.replace("leads.csv", "${CRM_EXPORT}/leads.csv")))
    monkeypatch.setenv("CRM_EXPORT", "/exports")
    assert source.location == "/exports/leads.csv"
    monkeypatch.delenv("CRM_EXPORT")
    with pytest.raises(SourceError, match=stating("variable CRM_EXPORT", "not set", "export CRM_EXPORT=")):
        source.location  # noqa: B018


@pytest.mark.parametrize(
    ("old", "new", "key", "facts"),
    [
        ('metric = "profit"', 'metrc = "profit"', "metrc", ["unknown", "'metric'"]),
        ('metric = "profit"', 'metric = "profit"\ngroups = ["a", "a"]', "groups", ["'a'", "twice"]),
        ('metric = "profit"', 'metric = "profit"\ngroups = ["lead_id"]', "groups", ["'lead_id'", "id"]),
        ("contact_cost = 5", "contact_costs = 5", "economics.contact_costs", ["unknown", "'contact_cost'"]),
        ('metric = "profit"', 'metric = "gini"', "metric", ["'precision'", "'recall'", "'f1'"]),
        ("agreed_on = 2025-01-31", "agreed_on = 9999-01-01", "agreed_on", ["future"]),
        ("agreed_on = 2025-01-31", "agreed_on = 'yesterday'", "agreed_on", ["valid date"]),
        (
            "contact_cost = 5",
            "contact_cost = 100",
            "economics.contact_cost",
            ["100", "less", "conversion_value"],
        ),
        ("contact_cost = 5", "contact_cost = -1", "economics.contact_cost", ["greater", 0]),
        ("contact_cost = 5", 'contact_cost = "5"', "economics.contact_cost", ["valid number"]),
        ("contact_cost = 5", "contact_cost = nan", "economics.contact_cost", ["finite"]),
        (
            "contact_cost = 5",
            "contact_cost = 5\ncontacts_per_1000_leads = 1001",
            "economics.contacts_per_1000_leads",
            ["less", "1000"],
        ),
        ('leaks = ["contract_value"]', 'leaks = ["won"]', "target_column", ["'won'", "leaks"]),
        ('positive = "yes"', 'positive = "yes"\nid_column = "won"', "id_column", ["'won'", "already"]),
        ('path = "leads.csv"', "", "path", ["either", "[sample]"]),
        ("[economics]", "[sample]\nrows = 100\n[economics]", "path", ["either", "[sample]"]),
        ('positive = "yes"', 'positive = "yes"\ntime_format = "%Y"', "time_format", ["time_column"]),
        ("[economics]", "[kinds]\nwon = 'number'\n[economics]", "target_column", ["'won'", "no input"]),
        ("[economics]", "[kinds]\nage = 'integer'\n[economics]", "kinds.age", ["'number'", "'boolean'"]),
        (
            "[economics]",
            "[recipe]\ncandidat = 'best'\n[economics]",
            "recipe.candidat",
            ["unknown", "'candidate'"],
        ),
        (
            "[economics]",
            "[exploration]\nshare = 0.6\n[economics]",
            "exploration.share",
            ["0.5"],
        ),
        ("[economics]", "[recipe]\ncandidate = 'svm'\n[economics]", "recipe.candidate", ["'logistic_regression'"]),
        ("[economics]", "[recipe.monotone]\na = 'up'\n[economics]", "recipe.monotone.a", ["'increasing'"]),
        (
            "[economics]",
            "[recipe]\nhalf_life_leads = 9\n[economics]",
            "recipe.half_life_leads",
            ["greater", "100"],
        ),
        (
            "[economics]",
            "[recipe]\nhalf_life_leads = 4000\n[economics]",
            "recipe.half_life_leads",
            ["time order"],
        ),
        ('positive = "yes"', "positive = []", "positive", ["at least 1"]),
        ('positive = "yes"', 'positive = "yes"\nnegative = []', "negative", ["at least 1"]),
        ('positive = "yes"', 'positive = "yes"\nabsent_after_days = 90', "absent_after_days", ["time_column"]),
        (
            'positive = "yes"',
            'positive = "yes"\ntime_column = "at"\nabsent_after_days = 90\nmaturity_days = 30',
            "maturity_days",
            ["at least", "absent_after_days", "90"],
        ),
        ("[economics]", "[outcomes]\npath = 'o.csv'\n[economics]", "outcomes", ["id_column"]),
        (
            "[economics]",
            "[outcomes]\npath = 'o.csv'\nid_colum = 'a'\n[economics]",
            "outcomes.id_colum",
            ["'id_column'"],
        ),
        ('positive = "yes"', 'positive = "yes"\noutcomes_of = "some"', "outcomes_of", ["'contacted'"]),
        ("[economics]", "[exploration]\nshares = 0.1\n[economics]", "exploration.shares", ["'share'"]),
        ("[economics]", "[contacts]\ntime_colum = 'a'\n[economics]", "contacts.time_colum", ["'time_column'"]),
        ("[economics]", "[contacts]\ntime_format = '%d'\n[economics]", "contacts.time_format", ["time_column"]),
        ("[economics]", "[contacts]\ntime_column = 'lead_id'\n[economics]", "contacts", ["'lead_id'", "two"]),
        ('name = "crm"', 'name = "My CRM"', "name", ["pattern"]),
        ('name = "crm"', "name = ", "crm.toml", ["TOML"]),
    ],
)
def test_an_impossible_source_is_refused_by_file_and_key(
    tmp_path: Path, old: str, new: str, key: str, facts: list[str]
) -> None:
    assert old in COMPLETE
    file = written(tmp_path, COMPLETE.replace(old, new))
    with pytest.raises(SourceError) as refused:
        load_source(file)
    message = str(refused.value)
    assert message.startswith(f"{file}: ")
    states(message, f"{key}:", *facts)


def test_the_outcome_may_be_one_value_or_several_and_a_lead_is_final_once_it_counts_as_lost(tmp_path: Path) -> None:
    more = 'positive = ["won", 1]\nnegative = false\ntime_column = "at"\nabsent_after_days = 90'
    source = load_source(written(tmp_path, COMPLETE.replace('positive = "yes"', more)))
    assert (source.positive, source.negative, source.maturity_days) == (("won", 1), (False,), 90)
    source = load_source(written(tmp_path, COMPLETE))
    assert (source.positive, source.negative, source.maturity_days) == (("yes",), (), 30)


def test_contacts_have_the_ids_of_outcomes_unless_the_source_names_their_column(tmp_path: Path) -> None:
    source = load_source(written(tmp_path, COMPLETE))
    assert (source.outcomes_of, source.contact_id, source.exploration.share) == ("all", "lead_id", 0)
    more = """outcomes_of = "contacted"
        outcomes = {path = "won.csv", id_column = "deal"}
        contacts = {time_column = "at"}
        exploration = {share = 0.05}
        id_column = "id"
        leaks"""
    source = load_source(written(tmp_path, COMPLETE.replace("leaks", more)))
    assert (source.outcomes_of, source.contact_id, source.exploration.share) == ("contacted", "deal", 0.05)
    more = 'contacts = {id_column = "caller"}\nleaks'
    assert load_source(written(tmp_path, COMPLETE.replace("leaks", more))).contact_id == "caller"


def test_the_files_of_a_source_are_its_leads_and_its_outcomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_EXPORT", "/exports")
    more = 'id_column = "id"\noutcomes = {path = "${CRM_EXPORT}/won.csv"}\nleaks'
    source = load_source(written(tmp_path, COMPLETE.replace("leaks", more)))
    assert source.locations == [str(tmp_path / "leads.csv"), "/exports/won.csv"]
    assert (source.outcome_id, source.outcome_column) == ("id", "won")


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=stating("nowhere.toml", "No such file")):
        load_source(tmp_path / "nowhere.toml")


SCALARS = st.one_of(
    st.booleans(), st.integers(-5, 5), st.floats(), st.text(max_size=5).map(lambda t: t.replace("\x7f", ""))
)


@given(key=st.sampled_from(sorted(Source.model_fields)), value=st.one_of(SCALARS, st.lists(SCALARS, max_size=2)))
def test_whatever_a_key_holds_the_source_is_accepted_or_the_key_is_named(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: Any
) -> None:
    document = tomllib.loads(COMPLETE) | {key: value}
    tables = {k: v for k, v in document.items() if isinstance(v, dict)}
    lines = [f"{k} = {_toml(v)}" for k, v in document.items() if k not in tables]
    lines += [line for k, v in tables.items() for line in [f"[{k}]", *(f"{a} = {_toml(b)}" for a, b in v.items())]]
    file = written(tmp_path_factory.mktemp("toml"), "\n".join(lines))
    refusal = refusal_of(file)
    assert refusal is None or key.removesuffix("_column") in refusal


def refusal_of(file: Path) -> str | None:
    try:
        load_source(file)
    except SourceError as error:
        return str(error)
    return None


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(c):08x}" for c in value) + '"'
    return str(value).lower() if isinstance(value, bool) else str(value)
