import io
import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from service.lifecycle.data.columns import read_column
from service.lifecycle.data.form import Form, form_of
from service.lifecycle.data.lead_file import LeadFile
from service.lifecycle.data.source import Source, SourceError
from service.lifecycle.data.table import Table
from service.lifecycle.scoring.encoder import Encoded, Encoder
from service.model import bundle
from service.model.bundle import Bundle, Economics
from service.model.schema import MAX_ID, MAX_NUMBER, LeadSchema
from service.model.spelling import WHOLE
from service.reading.ids import as_id
from service.storage import Folder
from tests.facts import states, stating
from tests.service import forge

Lead = dict[str, Any]
NAMES = [feature.name for feature in forge.SCHEMA.features]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    models = Folder(tmp_path_factory.mktemp("models"))
    return bundle.load(models, forge.release(models))


def encode(served: Bundle, columns: dict[str, Any], form: Form | None = None) -> Encoded:
    rows = len(next(iter(columns.values())))
    ids = {"lead_id": [str(i) for i in range(rows)]}
    encoder = Encoder(served, form or Form())
    return encoder.encode(pa.RecordBatch.from_pydict({**ids, **columns}))


def as_json(served: Bundle, leads: list[Lead]) -> np.ndarray:
    """The matrix by the service's own way."""
    return served.engine.encode(served.engine.parse(json.dumps(leads).encode()))


def blank(text: object) -> bool:
    return isinstance(text, str) and not text.strip()


numbers = st.none() | st.floats(-MAX_NUMBER, MAX_NUMBER) | st.sampled_from([0.0, 999.0, 1e-300])
texts = st.none() | st.sampled_from(["retail", "unknown", "never seen", "energy"]) | st.text(max_size=12)
# A text of nothing but white space is missing in a file, as in training; over HTTP it is a value.
texts = texts.filter(lambda text: not blank(text) or text == "").filter(lambda text: "\0" not in (text or ""))
leads = st.lists(
    st.fixed_dictionaries(
        {
            "visits": numbers,
            "days.since contact": numbers,
            "opted_in": st.none() | st.booleans(),
            "industry": texts,
            "region": st.none() | st.sampled_from(["north", "south"]),
        }
    ),
    min_size=1,
    max_size=30,
)


@given(leads)
def test_parquet_gives_the_matrix_that_json_gives(served: Bundle, rows: list[Lead]) -> None:
    sink = io.BytesIO()
    types = [pa.float64(), pa.float64(), pa.bool_(), pa.string(), pa.string()]
    schema = pa.schema(list(zip(NAMES, types, strict=True)))
    parquet.write_table(pa.Table.from_pylist(rows, schema), sink)
    (cells,) = parquet.read_table(sink).to_batches()
    encoded = encode(served, {name: cells.column(name) for name in NAMES})
    assert encoded.bad == []
    np.testing.assert_array_equal(encoded.matrix, as_json(served, rows))
    assert served.engine.score_matrix(encoded.matrix).tolist() == served.engine.score(
        served.engine.parse(json.dumps(rows).encode())
    )


@given(st.lists(st.decimals(-9999, 9999, places=2).map(float), min_size=1, max_size=30))
def test_a_number_scores_the_same_in_single_precision_in_training_batch_and_requests(
    served: Bundle, numbers: list[float]
) -> None:
    single = pa.array(numbers, pa.float32())
    wide = single.to_numpy().astype(np.float64).tolist()
    sent = [as_json(served, [{**LEAD, "visits": value} for value in values]) for values in (numbers, wide)]
    fixed = {name: [LEAD[name]] * len(numbers) for name in NAMES if name != "visits"}
    filed = [encode(served, {"visits": cells, **fixed}).matrix for cells in (numbers, single, pa.array(wide))]
    for matrix in (*sent, *filed):
        np.testing.assert_array_equal(matrix, sent[0])
    for cells in (single, pa.array(wide)):
        learned = read_column(Table("leads", pa.table({"visits": cells}), range(len(cells)), ""), "visits")
        assert learned.prepare("number").tolist() == numbers


def test_a_text_and_a_mark_of_single_precision_are_those_that_were_written(served: Bundle) -> None:
    table = Table("leads", pa.table({"area": pa.array([0.1, -99.9, 2.0], pa.float32())}), range(3), "")
    assert read_column(table, "area").prepare("category").tolist() == ["0.1", "-99.9", "2"]
    assert np.isnan(read_column(table, "area", missing=[-99.9]).prepare("number")).tolist() == [False, True, False]


LEAD: Lead = {"visits": 1.0, "days.since contact": 3.5, "opted_in": True, "industry": "retail", "region": "north"}
NOTHING: Lead = dict.fromkeys(NAMES)


@given(leads)
@example([{**NOTHING, "region": "north"}, {**NOTHING, "industry": ""}])
@example([{**NOTHING, "region": "", "industry": ""}])
def test_csv_gives_the_matrix_that_json_gives(served: Bundle, tmp_path_factory: Any, rows: list[Lead]) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "leads.csv"
    table = pa.table(
        {"lead_id": [str(i) for i in range(len(rows))], **{name: [row[name] for row in rows] for name in NAMES}}
    )
    nothing = [name for name in NAMES if pa.types.is_null(table.schema.field(name).type)]
    arrow_csv.write_csv(table.drop_columns(nothing), path)
    encoder = Encoder(served, Form())
    with LeadFile("leads", io.FileIO(path), path.stat().st_size, ",") as file:
        (batch,) = file.batches({"lead_id", *NAMES}, {"opted_in", "industry", "region"})
        encoded = encoder.encode(batch.cells)
    assert encoded.bad == []
    np.testing.assert_array_equal(encoded.matrix, as_json(served, rows))


def test_a_number_is_the_same_however_it_is_written(served: Bundle) -> None:
    expected = as_json(served, [{"visits": 12.5}] * 4)
    for written in (["12.5"] * 4, ["12.5", "+12.5", " 12.5 ", "125e-1"], [Decimal("12.5")] * 4, [12.5] * 4):
        np.testing.assert_array_equal(encode(served, {"visits": written}).matrix, expected)
    comma = encode(served, {"visits": ["12,5", "+12,50", "1250e-2", " 12,5"]}, Form(decimal=","))
    np.testing.assert_array_equal(comma.matrix, expected)
    point = encode(served, {"visits": ["1.234", "12.5"]}, Form(decimal=","))
    assert [bad.place for bad in point.bad] == [1]
    np.testing.assert_array_equal(point.matrix, as_json(served, [{"visits": 1234}]))


def test_dictionary_columns_and_whole_numbers_as_text_are_understood(served: Bundle) -> None:
    codes = pa.array(["retail", None, "retail"]).dictionary_encode()
    encoded = encode(served, {"industry": codes, "region": [3, None, 4], "visits": pa.array([1, None, 2], pa.int8())})
    rows = [
        {"industry": "retail", "region": "3", "visits": 1},
        {},
        {"industry": "retail", "region": "4", "visits": 2},
    ]
    np.testing.assert_array_equal(encoded.matrix, as_json(served, rows))


def test_what_the_source_says_means_missing_is_missing(served: Bundle) -> None:
    source = Source(
        name="crm",
        path="leads.csv",
        target_column="won",
        positive="yes",
        id_column="customer",
        missing=("gone",),
        missing_in={"visits": ("lost", 7.0)},
        metric="profit",
        metric_reason="calls are cheap",
        agreed_by="sales",
        agreed_on=date(2026, 1, 1),
        economics=Economics(conversion_value=2, contact_cost=1),
    )
    form = form_of(source)
    assert form.id_column == "customer"
    assert form_of(source, "other").id_column == "other"
    columns = {"customer": ["1", "2", "3"], "visits": [" gone ", "lost", "3"], "opted_in": ["gone", " TRUE", ""]}
    encoded = encode(served, columns, form)
    np.testing.assert_array_equal(encoded.matrix, as_json(served, [{}, {"opted_in": True}, {"visits": 3}]))
    assert [bad.column for bad in encode(served, columns | {"lead_id": ["", "", ""]}, Form("customer")).bad] == [
        "visits",
        "opted_in",
        "visits",
    ]


def test_bad_rows_are_named_and_the_others_scored(served: Bundle) -> None:
    encoded = encode(
        served,
        {
            "lead_id": ["a", "", "c", "d", "e", "x" * 201, None],
            "visits": ["1", "2", "many", "1e400", "inf", "6", "7"],
            "opted_in": ["true", "false", "maybe", "", "true", "", ""],
            "industry": ["retail", "retail", "y" * 1001, "", "", "", ""],
        },
    )
    assert encoded.ids.to_pylist() == ["a"]
    np.testing.assert_array_equal(
        encoded.matrix, as_json(served, [{"visits": 1, "opted_in": True, "industry": "retail"}])
    )
    assert [(bad.place, bad.column) for bad in encoded.bad] == [
        (1, "lead_id"),
        (2, "visits"),
        (2, "opted_in"),
        (2, "industry"),
        (3, "visits"),
        (4, "visits"),
        (5, "lead_id"),
        (6, "lead_id"),
    ]
    assert encoded.bad[1].reason == "'many' is no number"
    assert len(encoded.bad[3].reason) < 100


@pytest.mark.parametrize("value", [float("inf"), 1e101, -float("inf")])
def test_a_number_beyond_what_a_caller_may_send_is_set_aside(served: Bundle, value: float) -> None:
    encoded = encode(served, {"visits": [value, float("nan"), 1.0]})
    assert [bad.place for bad in encoded.bad] == [0]
    np.testing.assert_array_equal(encoded.matrix, as_json(served, [{}, {"visits": 1}]))


@pytest.mark.parametrize("written", ["inf", "-Infinity", "1e101"])
def test_what_only_arrow_takes_for_a_number_is_set_aside(served: Bundle, written: str) -> None:
    encoded = encode(served, {"visits": ["1", None, written]})
    assert [bad.place for bad in encoded.bad] == [2]


def test_ids_of_every_type_are_text(served: Bundle) -> None:
    for ids in (
        [7, 8],
        [7.0, 8.0],
        ["7", "8"],
        ["7.0", " 8 "],
        ['="7"', "8"],
        pa.array(["7", "8"]).dictionary_encode(),
    ):
        assert encode(served, {"lead_id": ids, "visits": [1, 2]}).ids.to_pylist() == ["7", "8"]


SUMS = {"total", "summe", "subtotal"}
id_texts = st.sampled_from(
    (
        "",
        " ",
        "7",
        "7.0",
        "1.05",
        "=7",
        '="7"',
        " 8",
        "9 ",
        "x@y.example",
        "\u00e9",
        "\u00fc 1.0",
        "12.0.0",
        "\u00e9" * 200,
    )
) | st.sampled_from(
    ("x" * 200, "x" * 201, "Total", "TOTAL:", "total ", "tasse", "Summe", "Sum", "subtotal", "L-0000042")
)


@given(st.lists(st.none() | id_texts | st.text(max_size=4), min_size=1, max_size=6), st.integers(0, 3))
def test_ids_of_a_batch_are_what_each_is_alone(served: Bundle, ids: list[str | None], before: int) -> None:
    """Batches are searched as a whole first, which must not depend on the ids beside each."""
    array = pa.array(["before"] * before + ids, pa.string())[before:]
    encoded = encode(served, {"lead_id": array, "visits": pa.nulls(len(ids), pa.string())})
    alone = [as_id(text) for text in ids]
    usable = [text for text in alone if 0 < len(text) <= MAX_ID and text.lower().rstrip(":") not in SUMS]
    assert encoded.ids.to_pylist() == usable
    assert len(encoded.bad) == len(ids) - len(usable)


@pytest.mark.parametrize("word", ["Total", "grand total", "SUMME:", " Gesamtsumme ", "somme"])
def test_a_total_among_ids_is_set_aside(served: Bundle, word: str) -> None:
    encoded = encode(served, {"lead_id": ["t1e", "", word, "tissue"], "visits": [1, 2, 3, 4]})
    assert encoded.ids.to_pylist() == ["t1e", "tissue"]
    assert [bad.place for bad in encoded.bad] == [1, 2]


def whole(served: Bundle) -> Bundle:
    """The model as if its training had seen visits as whole numbers without a mark."""
    schema = served.manifest.lead_schema
    features = tuple(f.model_copy(update={"spelling": WHOLE if f.name == "visits" else None}) for f in schema.features)
    changed = {"lead_schema": schema.model_copy(update={"features": features})}
    return replace(served, manifest=served.manifest.model_copy(update=changed))


@given(st.lists(st.from_regex(r" ?-?[0-9]{1,4}([.,][0-9]{1,4})?( ?)", fullmatch=True), min_size=1, max_size=4))
def test_a_mark_that_may_be_one_between_thousands_is_never_guessed(served: Bundle, texts: list[str]) -> None:
    encoded = encode(whole(served), {"visits": texts})
    read = [WHOLE.number(text) for text in texts]
    assert [bad.place for bad in encoded.bad] == [place for place, number in enumerate(read) if number is None]
    assert encoded.matrix[:, 0].tolist() == [number for number in read if number is not None]


def test_a_doubtful_number_is_set_aside_unless_a_person_names_the_mark(served: Bundle) -> None:
    column = {"visits": ["950", "1.158", "7.5"]}
    encoded = encode(whole(served), column)
    states(encoded.bad[0].reason, "'1.158'", "decimal", "thousands")
    assert [bad.place for bad in encoded.bad] == [1]
    point, comma = (encode(whole(served), column, Form(decimal=mark)) for mark in (".", ","))
    assert point.matrix[:, 0].tolist() == [950, 1.158, 7.5]
    assert comma.matrix[:, 0].tolist() == [950, 1158]


def check(served: Bundle, **columns: Any) -> list[str]:
    return Encoder(served, Form()).check(pa.table(columns).schema, "leads.csv")


def test_missing_and_unknown_columns_are_said(served: Bundle) -> None:
    missing, unknown = check(served, lead_id=["1"], visits=[1], industry=["x"], note=["n"])
    states(missing, "leads.csv", "no column", "'days.since contact', 'opted_in', 'region'", "missing")
    states(unknown, "leads.csv", "'note'", "ignored")


@pytest.mark.parametrize(
    ("columns", "facts"),
    [
        ({"lead_id": ["1"], "note": ["n"]}, ["none", "'visits'"]),
        ({"visits": [1]}, ["no column", "'lead_id'", "--id-column"]),
        ({"lead_id": ["1"], "visits": [True]}, ["'visits'", "bool", "number"]),
        ({"lead_id": ["1"], "opted_in": [1]}, ["'opted_in'", "int64", "boolean"]),
        ({"lead_id": ["1"], "industry": [["a"]]}, ["'industry'", "list"]),
        ({"lead_id": [["1"]], "visits": [1]}, ["'lead_id'", "list"]),
    ],
)
def test_a_file_whose_columns_do_not_fit_is_refused(served: Bundle, columns: Any, facts: list[str]) -> None:
    with pytest.raises(SourceError, match=stating(*facts)):
        check(served, **columns)


def test_the_bundles_own_marks_for_missing_are_read_without_the_lead_source(served: Bundle) -> None:
    marked = {"visits": ("keine",), "opted_in": ("offen",)}
    features = tuple(
        feature.model_copy(update={"missing": marked.get(feature.name, feature.missing)})
        for feature in served.manifest.lead_schema.features
    )
    manifest = served.manifest.model_copy(update={"lead_schema": LeadSchema(features=features)})
    columns = {"visits": ["keine", "3"], "opted_in": ["offen", "Ja"]}
    encoded = encode(replace(served, manifest=manifest), columns)
    assert encoded.bad == []
    numbers = served.manifest.encoding.numbers
    assert np.isnan(encoded.matrix[0, [numbers.index("visits"), numbers.index("opted_in")]]).all()
    assert len(encode(served, columns).bad) == 2
