"""Leads are loaded with an inferred or a given schema; nothing is dropped, guessed or leaked in silence."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.lifecycle.data.columns import missing_of
from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.sample import Sample
from service.lifecycle.data.source import SourceError, load_source
from service.model.numbers import as_written
from service.model.schema import Feature, LeadSchema
from tests.facts import states, stating
from tests.service.lifecycle.data.crm import WON, Loads, N, cycle

EXAMPLES = Path(__file__).parents[4] / "service" / "examples"


def kinds(leads: Leads) -> dict[str, str]:
    return {feature.name: feature.kind for feature in leads.schema.features}


@pytest.mark.parametrize("file", ["csv", "parquet"])
def test_kinds_are_inferred_and_cells_prepared_as_the_models_take_them(loads: Loads, file: str) -> None:
    leads = loads(
        {"age": cycle(30.5, None, 41.0), "trial": cycle(True, False, None), "city": cycle("Bonn", None, "Ulm", "true")},
        file=file,
    )
    assert kinds(leads) == {"age": "number", "trial": "boolean", "city": "category"}
    assert leads.frame.dtypes.map(str).to_dict() == {"age": "float64", "trial": "float64", "city": "object"}
    assert leads.frame["age"].tolist()[0::3] == [30.5] * 67
    assert leads.frame["age"].isna().tolist() == cycle(False, True, False)
    assert leads.frame["trial"].fillna(-1).tolist() == cycle(1.0, 0.0, -1.0)
    assert leads.frame["city"].tolist() == cycle("Bonn", "", "Ulm", "true")
    assert leads.target.tolist() == [1, 0, 0, 0] * 50
    assert leads.target.dtype == np.int8


@given(numbers=st.lists(st.floats(-1e100, 1e100), min_size=2, max_size=20, unique=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_a_number_in_a_file_is_the_nearest_float64(loads: Loads, numbers: list[float]) -> None:
    cells = (numbers * N)[:N]
    leads = loads({"x": [repr(number) for number in cells]}, kinds={"x": "number"})
    # Those of single precision are read as they were written.
    assert leads.frame["x"].tolist() == as_written(np.array(cells)).tolist()


def test_values_that_mean_missing_are_missing_everywhere_or_in_their_column_only(loads: Loads) -> None:
    leads = loads(
        {"pdays": cycle(3, 999, 999.0), "calls": cycle(1, 999, 4), "job": cycle("admin", "unknown", "chef")},
        missing=("unknown",),
        missing_in={"pdays": (999,)},
    )
    assert leads.frame["pdays"].isna().tolist() == cycle(False, True, True)
    assert leads.frame["calls"].tolist() == cycle(1.0, 999.0, 4.0)
    assert leads.frame["job"].tolist() == cycle("admin", "", "chef")
    # Scoring reads a text that means "missing" in every column, without the lead source.
    kept = {"pdays": (999.0, "unknown"), "calls": ("unknown",), "job": ("unknown",)}
    assert {f.name: f.missing for f in leads.schema.features} == kept


def test_known_marks_are_missing_with_a_line_but_where_they_may_be_an_answer(loads: Loads) -> None:
    leads = loads({"region": cycle("NA", "#N/A", "EU"), "size": cycle("n/a", "5", "NA"), "x": cycle(True, False)})
    assert leads.frame["region"].tolist() == cycle("NA", "", "EU")
    assert leads.frame["size"].isna().tolist() == cycle(True, False, True)
    states(leads.notes, "region", 67, "'#N/A'")
    states(leads.notes, "size", "'n/a'", "'NA'")
    assert {f.name: f.missing for f in leads.schema.features}["region"] == ("#N/A",)
    kept = loads({"region": cycle("NA", "None", "EU")}, missing_in={"region": ()})
    assert kept.frame["region"].tolist() == cycle("NA", "None", "EU")


@pytest.mark.parametrize(
    ("cells", "keys", "whole"),
    [
        (["950", "12", "-7"], {}, True),
        (["950", "12", "-7"], {"decimal": "."}, False),
        (["950", "12.5", "-7"], {}, False),
        (["950", "1,158", "12,345,678"], {}, False),
        (["950 EUR", "12 EUR", "7 EUR"], {}, True),
    ],
)
def test_that_whole_numbers_had_no_mark_is_kept_for_scoring(loads: Loads, cells: Any, keys: Any, whole: bool) -> None:
    (feature,) = loads({"size": cycle(*cells)}, **keys).schema.features
    assert whole == bool(feature.spelling and feature.spelling.whole)
    assert LeadSchema.model_validate_json(LeadSchema(features=(feature,)).model_dump_json()).features == (feature,)


def test_a_later_training_reads_marks_that_all_its_cells_decide(loads: Loads) -> None:
    first = loads({"size": cycle(950, 12, 7)}).schema
    assert loads({"size": cycle("1.158.000", "12", "7.000")}, first).frame["size"][:3].tolist() == [1158000, 12, 7000]
    with pytest.raises(SourceError, match=stating("1.158", "1158", "decimal")):
        loads({"size": cycle("1.158", "12", "7")}, first)


def test_decimal_commas_are_read_when_the_source_says_so(loads: Loads) -> None:
    assert loads({"price": cycle("1,5", "2", "3,25")}, decimal=",").frame["price"].tolist() == cycle(1.5, 2.0, 3.25)


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (cycle("eu"), ["all", "'eu'"]),
        (cycle(None), ["all", "missing"]),
        ([f"lead {i}" for i in range(N)], ["identifier-like", 200]),
        (list(range(N)), ["identifier-like", 200]),
        ([f"2025-01-{1 + i % 28:02d}" for i in range(N)], ["times"]),
    ],
)
def test_a_column_that_teaches_nothing_is_left_out_with_a_line(loads: Loads, column: list[Any], why: list[Any]) -> None:
    leads = loads({"x": column, "y": cycle("a", "b", "c")})
    assert kinds(leads) == {"y": "category"}
    states(leads.notes, "x: left out", *why)


def test_measured_numbers_are_kept_however_different_they_are(loads: Loads) -> None:
    assert kinds(loads({"x": [i + 0.5 for i in range(N)]})) == {"x": "number"}


def test_a_stated_kind_overrides_the_inferred_one(loads: Loads) -> None:
    leads = loads({"zip": cycle(10115, 89073, 53111), "x": list(range(N))}, kinds={"zip": "category", "x": "number"})
    assert kinds(leads) == {"zip": "category", "x": "number"}
    assert leads.frame["zip"].tolist() == cycle("10115", "89073", "53111")


def test_a_column_of_a_stated_kind_is_kept_though_all_leads_so_far_have_the_same_value_or_none(loads: Loads) -> None:
    cells = {"x": [i + 0.5 for i in range(N)], "channel": cycle("phone"), "previous": cycle(None)}
    assert kinds(loads(cells)) == {"x": "number"}
    leads = loads(cells, kinds={"x": "number", "channel": "category", "previous": "number"})
    assert kinds(leads) == {"x": "number", "channel": "category", "previous": "number"}


def test_numbers_with_a_few_texts_among_them_are_refused_with_both_remedies(loads: Loads) -> None:
    with pytest.raises(SourceError, match=stating("'age'", "numbers", "'old'", "[missing_in]", "[kinds]")):
        loads({"age": ["old", *range(1, N)]})
    with pytest.raises(SourceError, match=stating("'25.3k'", "another spelling", "[kinds]")) as refused:
        loads({"revenue": ["25.3k", *range(1, N)]})
    assert "missing" not in str(refused.value)


def test_leaks_are_left_out_and_so_are_other_columns_but_their_cells_are_kept(loads: Loads) -> None:
    afterwards = [1000.0 + i % 7 if i % 4 == 0 else None for i in range(N)]
    columns = {
        "value": afterwards,
        "job": cycle("a", "b", "c"),
        "closed": [f"2025-01-{1 + i % 28:02d}" if i % 4 == 0 else "" for i in range(N)],
        "note": [f"note {i}" if i % 3 else "n/a" for i in range(N)],
        "ago": ["2 days", *range(1, N)],
    }
    found = loads(columns, leaks=("value", "ago"), leave_out=("note",))
    assert kinds(found) == {"job": "category"}
    states(found.notes, "value: left out", "afterwards")
    assert {name: cells.dtype.kind for name, cells in found.left_out.items()} == {
        "value": "f",
        "ago": "O",
        "note": "O",
        "closed": "O",
    }
    assert (np.isnan(found.left_out["value"]) == (found.target == 0)).all()
    assert ((found.left_out["closed"] == "") == (found.target == 0)).all()
    assert ((found.left_out["note"] == "") == (np.arange(N) % 3 == 0)).all()


def test_a_group_is_no_input_whether_the_file_has_it_or_not(loads: Loads) -> None:
    found = loads({"Country": cycle("DE", "AT"), "job": cycle("a", "b", "c")}, groups=("country", "sector"))
    assert kinds(found) == {"job": "category"}
    states(found.notes, "country: left out", "groups")
    assert list(found.left_out) == ["country"]


def test_leads_stand_in_time_order_oldest_first_with_their_ids(loads: Loads) -> None:
    hours = [f"2025-01-{1 + (i * 7) % 28:02d}T{i % 24:02d}:00:00+02:00" for i in range(N)]
    leads = loads({"at": hours, "id": [f"L{i}" for i in range(N)], "x": cycle(1, 2)}, time_column="at", id_column="id")
    assert leads.in_time_order
    assert leads.times is not None
    assert leads.ids is not None
    assert leads.times.is_monotonic_increasing
    position = {f"L{i}": i for i in range(N)}
    assert [WON[position[i]] == "yes" for i in leads.ids] == leads.target.astype(bool).tolist()
    assert kinds(leads) == {"x": "number"}


def test_times_in_a_form_of_their_own_need_the_format(loads: Loads) -> None:
    columns = {"at": cycle("03/12/2024", "01/02/2024"), "x": cycle(1, 2, 3)}
    with pytest.raises(SourceError, match=stating("row 2", "'at'", "'03/12/2024'", "day first", "month first")):
        loads(columns, time_column="at")
    leads = loads(columns, time_column="at", time_format="%d/%m/%Y")
    assert leads.times is not None
    assert leads.times[0] == pd.Timestamp("2024-02-01", tz="UTC")


@pytest.mark.parametrize(
    "written",
    [
        ("31/12/2024", "01/02/2024"),
        ("12/31/2024", "02/01/2024"),
        ("31.12.2024 00:00", "1.2.2024 0:00"),
        ("12/31/24 12:00 AM", "2/1/24 12:00 AM"),
        ("2024/12/31", "2024/02/01"),
        ("20241231", "20240201"),
        ("2024-12-31T01:00:00+0100", "2024-01-31T23:00:00-01:00"),
        ("1735603200000", "1706745600000"),
        ("1735603200", "1706745600"),
        ("45657", "45323"),
        ("31. Dezember 2024", "1. Feb 2024"),
        ("Dec 31, 2024", "February 1, 2024"),
    ],
)
def test_times_in_every_common_spelling_are_read_and_are_no_input(loads: Loads, written: tuple[str, ...]) -> None:
    columns = {"created": cycle(*written), "x": cycle(1, 2, 3)}
    leads = loads(columns, time_column="created")
    assert leads.times is not None
    assert [leads.times[0], leads.times[-1]] == [pd.Timestamp(day, tz="UTC") for day in ("2024-02-01", "2024-12-31")]
    months = {"created": [text for text in written for _ in range(N // 2)], "x": cycle(1, 2, 3)}
    if len(set(map(len, written))) == 1 and written[0].isdigit() and len(written[0]) in (8, 13):
        return  # two numbers alone are no dates
    assert kinds(loads(months)) == {"x": "number"}


def test_a_stated_order_of_day_and_month_that_the_rows_contradict_is_doubted(loads: Loads) -> None:
    days = [f"{1 + i % 12:02d}/{1 + i // 20:02d}/2024" for i in range(N)]
    days = sorted(days, key=lambda day: (day[3:5], day[:2]))
    leads = loads({"at": days, "x": cycle(1, 2, 3)}, time_column="at", time_format="%m/%d/%Y")
    states(leads.notes, "at: CHECK time_format", "'%d/%m/%Y'")
    leads = loads({"at": days, "x": cycle(1, 2, 3)}, time_column="at", time_format="%d/%m/%Y")
    assert not any("CHECK" in note for note in leads.notes)


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("2024-07-01 12:00:00", None),
        ("1.7.2024 12:00", None),
        ("01/07/24 12h", "%d/%m/%y %Hh"),
        ("45474.5", None),
    ],
)
def test_times_without_a_zone_are_of_the_stated_one(loads: Loads, written: str, form: str | None) -> None:
    columns = {"created at": [written] * N, "x": cycle(1, 2)}
    by_zone = {
        zone: loads(columns, time_column="created at", time_format=form, timezone=zone)
        for zone in ("UTC", "America/New_York")
    }
    for zone, hour in (("UTC", 12), ("America/New_York", 16)):
        times = by_zone[zone].times
        assert times is not None
        assert times[0] == pd.Timestamp(2024, 7, 1, hour, tz="UTC")
        states(by_zone[zone].notes, "created at", "no zone", zone)


@pytest.mark.parametrize("written", ["2024-07-01T12:00:00Z", "2024-07-01 14:00+0200", "1719835200"])
def test_times_with_a_zone_keep_it(loads: Loads, written: str) -> None:
    leads = loads({"created_at": [written] * N, "x": cycle(1, 2)}, time_column="created_at", timezone="Asia/Tokyo")
    assert leads.times is not None
    assert leads.times[0] == pd.Timestamp("2024-07-01 12:00", tz="UTC")
    assert not any("no zone" in note for note in leads.notes)


@pytest.mark.parametrize("written", ["2024-03-31 02:30:00", "31.3.2024 02:30"])
def test_an_hour_that_a_clock_leaves_out_is_the_next_one(loads: Loads, written: str) -> None:
    leads = loads({"at": [written] * N, "x": cycle(1, 2)}, time_column="at", timezone="Europe/Berlin")
    assert leads.times is not None
    assert leads.times[0] == pd.Timestamp("2024-03-31 01:30", tz="UTC")


def test_a_lead_without_time_is_named(loads: Loads) -> None:
    with pytest.raises(SourceError, match=stating("row 4", "'at'", "no time")):
        loads({"at": cycle("2025-01-01", "2025-01-02", None), "x": cycle(1, 2)}, time_column="at")


@pytest.mark.parametrize(
    ("keys", "facts"),
    [
        ({"target_column": "sold"}, ["'sold'", "target_column", "won, x"]),
        ({"leaks": ("y",)}, ["'y'", "leaks"]),
        ({"missing_in": {"pday": (9,)}}, ["'pday'", "missing_in"]),
        ({"id_column": "id"}, ["'id'", "id_column"]),
    ],
)
def test_a_column_that_is_not_there_is_named_with_the_key(loads: Loads, keys: dict[str, Any], facts: list[str]) -> None:
    with pytest.raises(SourceError, match=stating("no column", *facts)):
        loads({"x": cycle(1, 2, 3)}, **keys)


SERVED = LeadSchema(
    features=(
        Feature(name="age", kind="number"),
        Feature(name="job", kind="category"),
        Feature(name="ok", kind="boolean"),
    )
)
SAME = {"job": cycle("a", "b", "c"), "ok": cycle(True, False, True), "age": cycle(1, 2, 3)}


def test_a_given_schema_decides_columns_and_kinds(loads: Loads) -> None:
    leads = loads(SAME | {"age": cycle(7), "new": cycle("x", "y")}, SERVED)
    assert list(leads.frame.columns) == ["age", "job", "ok"]
    assert kinds(leads) == kinds(loads(SAME, SERVED))
    assert len(leads.notes) == 1
    states(leads.notes, "new: left out", "served schema")


@pytest.mark.parametrize(
    ("changed", "facts"),
    [
        ({"age": cycle(1, 2, "old")}, ["row 4", "'age'", "'old'", "number"]),
        ({"age": cycle(1e300, 2)}, ["row 2", "'age'", "'1e+300'", "number"]),
        ({"ok": cycle("yes", "perhaps")}, ["row 3", "'ok'", "'perhaps'", "boolean"]),
        ({"job": cycle(1, 2)}, ["'job'", "'1'", "number", "served schema", "category"]),
        ({"job": cycle("a" * 1001, "b")}, ["'job'", f"'{'a' * 40}'", "text"]),
    ],
)
def test_a_column_that_has_become_another_is_refused(loads: Loads, changed: dict[str, Any], facts: list[str]) -> None:
    with pytest.raises(SourceError, match=stating(*facts)):
        loads(SAME | changed, SERVED)


def test_a_column_of_the_given_schema_that_is_gone_is_refused(loads: Loads) -> None:
    with pytest.raises(SourceError, match=stating("no column", "'age'", "served schema")):
        loads({"job": cycle("a", "b", "c"), "ok": cycle(True, False)}, SERVED)


def test_a_stated_kind_that_contradicts_the_given_schema_is_refused(loads: Loads) -> None:
    with pytest.raises(SourceError, match=stating("kinds.age", "category", "served schema")):
        loads(SAME, SERVED, kinds={"age": "category"})


def test_what_is_left_when_nothing_is_left_is_said(loads: Loads) -> None:
    with pytest.raises(SourceError, match=stating("no column", "x: left out", "'1'")):
        loads({"x": cycle(1)})


def test_the_sample_shows_a_newcomer_each_kind_of_line() -> None:
    stated = load_source(EXAMPLES / "sample.toml").model_copy(update={"sample": Sample(rows=2000)})
    leads = load(stated)
    assert [note.split(":")[0] for note in leads.notes] == ["contract_value", "crm_instance", "tracking_token"]
    assert set(kinds(leads).values()) == {"number", "boolean", "category"}
    assert leads.in_time_order
    assert load(stated, leads.schema).frame.equals(leads.frame)
    assert load(stated).sha256 == leads.sha256


@pytest.mark.skipif("BANK_MARKETING_CSV" not in os.environ, reason="BANK_MARKETING_CSV is not set")
def test_the_bank_data_is_read_whole_and_its_known_leak_is_out() -> None:
    leads = load(load_source(EXAMPLES / "bank_marketing.toml"))
    assert (len(leads.target), int(leads.target.sum()), len(leads.frame.columns)) == (41_188, 4_640, 19)
    assert [n.split(",")[0] for n in leads.notes if "afterwards" in n] == ["duration: left out"]
    raw = pd.read_csv(os.environ["BANK_MARKETING_CSV"], sep=";")
    assert leads.frame["euribor3m"].equals(raw["euribor3m"])
    assert leads.frame["pdays"].isna().sum() == (raw["pdays"] == 999).sum()


def test_a_mark_for_missing_is_kept_for_every_kind_of_column() -> None:
    marks = ("keine", " n. b. ", 999, "-1")
    assert missing_of("number", marks) == (999.0, -1.0, "keine", "n. b.")
    assert missing_of("boolean", marks) == ("keine", "n. b.")
    assert missing_of("category", marks) == ("keine", "n. b.", "999", "-1")
