"""Cells with several choices, from training to the score, its reasons and what the bundle keeps."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.lifecycle.data.form import Form
from service.lifecycle.scoring.encoder import Encoder
from service.lifecycle.training.candidates import candidates
from service.lifecycle.training.golden import golden
from service.lifecycle.training.onnx_export import check_parity, to_onnx
from service.lifecycle.training.reference_profile import describe
from service.model import bundle
from service.model.bundle import Bundle
from service.model.choices import joined, parted
from service.model.reasons import Explainer, typical_lead
from service.model.reference import Categories, Reference
from service.model.schema import Feature, LeadSchema
from service.model.words import Wording
from service.reading.unlike import rare_in_training
from service.storage import Folder
from tests.service import forge

CHOICES = ["Webinar", "Demo, request", "News (letter)", "Call"]
SECRET = "Zwentibold Quästenberg"
SCHEMA = LeadSchema(
    features=(*forge.SCHEMA.features, Feature(name="interests", kind="category", separator=";", missing=("nothing",)))
)
MODELS = ["logistic_regression", "spline_regression", "gradient_boosting"]


def rows() -> tuple[pd.DataFrame, np.ndarray]:
    """The test leads with interests: every second one asks for a webinar, and who asks for a demo converts."""
    frame, _ = forge.rows(800)
    draw = np.random.default_rng(5)
    asked = draw.random((800, 4)) < [0.55, 0.35, 0.3, 0.25]
    cells = [joined(np.array(CHOICES)[row], ";") for row in asked]
    cells[3] = joined(["Webinar", SECRET], ";")
    outcome = (draw.random(800) < np.where(asked[:, 1], 0.75, 0.2)).astype(int)
    return frame.assign(interests=np.array(cells, dtype=object)), outcome


@pytest.fixture(scope="module", params=MODELS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published bundle, whose engines were compared with scikit-learn."""
    frame, outcome = rows()
    pipeline = candidates(SCHEMA, frame)[request.param].fit(frame, outcome)
    exported = to_onnx(pipeline)
    check_parity(pipeline, exported, SCHEMA, frame)
    scores = pipeline.predict_proba(frame)[:, 1]
    looked = describe(SCHEMA, frame, frame, scores, outcome.astype(np.int8), 0.4)
    path = tmp_path_factory.mktemp("models")
    manifest = forge.manifest(exported, SCHEMA, version="v1")
    sums = bundle.publish(
        Folder(path), manifest, exported.onnx, golden(pipeline, SCHEMA, frame), f"# {request.param}", looked
    )
    forge.point(Folder(path), "v1", sums)
    return path


@pytest.fixture(scope="module")
def served(folder: Path) -> Bundle:
    pointed = bundle.read_pointer(Folder(folder))
    assert pointed
    return bundle.load(Folder(folder), pointed[0])


def matrix(served: Bundle, *cells: str | None) -> np.ndarray:
    leads = [{**forge.LEAD, "interests": cell} for cell in cells]
    return served.engine.encode(served.engine.parse(json.dumps(leads).encode()))


@given(st.lists(st.text("ab; ,|", max_size=6), max_size=6), st.sampled_from(";|,"))
def test_parting_what_was_joined_gives_the_choices(texts: list[str], separator: str) -> None:
    choices = {choice for text in texts for choice in parted(text, separator)}
    assert parted(joined(choices, separator), separator) == sorted(choices)


def test_each_choice_has_a_column_and_its_spelling_and_order_do_not_matter(served: Bundle) -> None:
    alone = matrix(served, *CHOICES)
    assert len({tuple(row) for row in alone}) == 4
    both, other, more = matrix(served, "Call;Webinar", " WEBINAR ;; call;Webinar;", "Call;Webinar;never seen")
    np.testing.assert_array_equal(both, np.maximum(alone[0], alone[3]))
    np.testing.assert_array_equal(other, both)
    np.testing.assert_array_equal(more, both)
    missing = matrix(served, None, "", " ; ", "n/a", "nothing", "NOTHING")
    assert (missing == missing[0]).all()
    assert not np.array_equal(missing[0], matrix(served, "never seen")[0])


def test_a_model_without_rare_choices_has_no_trace_of_them(served: Bundle, folder: Path) -> None:
    for path in filter(Path.is_file, folder.rglob("*")):
        text = path.read_bytes().decode("utf-8", "replace")
        assert all(written not in text for written in (SECRET, json.dumps(SECRET)[1:-1])), path.name
    assert set(served.manifest.encoding.categories["interests"].columns) == {"", *CHOICES}


@given(
    cells=st.lists(
        st.none() | st.lists(st.sampled_from([*CHOICES, "call ", "never seen", "n/a", "nothing", ""])).map(";".join),
        min_size=1,
        max_size=6,
    )
)
def test_a_file_gives_the_matrix_that_json_gives(served: Bundle, cells: list[str | None]) -> None:
    cells = [None if cell is not None and not cell.strip() else cell for cell in cells]
    columns = {name: [value] * len(cells) for name, value in forge.LEAD.items()}
    ids = [str(i) for i in range(len(cells))]
    batch = pa.RecordBatch.from_pydict({"lead_id": ids, **columns, "interests": pa.array(cells, pa.string())})
    encoded = Encoder(served, Form()).encode(batch)
    assert encoded.bad == []
    np.testing.assert_array_equal(encoded.matrix, matrix(served, *cells))


def test_unknown_choices_are_counted_as_rare_or_new(served: Bundle) -> None:
    cells = ["Webinar;Call", "webinar; call", "Webinar;Fax", "Fax", None]
    batch = pa.RecordBatch.from_pydict({"lead_id": list("abcde"), "interests": cells})
    counts = Encoder(served, Form()).encode(batch).counts.of("interests")
    assert (counts.filled, counts.unseen, counts.examples) == (4, 2, ("Webinar;Fax", "Fax"))


def test_the_reference_counts_single_choices(served: Bundle) -> None:
    (column,) = (column for column in served.reference.features if column.name == "interests")
    assert isinstance(column, Categories)
    assert column.choices
    frame, _ = rows()
    for choice, count in zip(column.choices.values, column.choices.counts, strict=True):
        assert count == frame["interests"].str.contains(choice, regex=False).sum()
    assert column.choices.others == column.rare == 1
    assert rare_in_training(served.reference)["interests"] == 1 / (800 - column.missing)
    written = served.reference.model_dump_json()
    assert Reference.model_validate_json(written) == served.reference
    assert written.count('"choices"') == 1  # older releases know the other columns


def test_reasons_name_the_choice(served: Bundle) -> None:
    typical = typical_lead(SCHEMA, served.reference)
    assert typical["interests"] == "Webinar"
    explainer = Explainer(served.engine, served.manifest.encoding, SCHEMA, served.reference)
    wording = Wording(served.engine, SCHEMA, served.reference)

    def said(cell: str | None) -> list[str]:
        leads = served.engine.parse(json.dumps([{**typical, "interests": cell}]).encode())
        scores = served.engine.score(leads)
        (reasons,) = explainer.reasons(leads, scores)
        for each in filter(lambda each: isinstance(each.choice, str), reasons):
            assert each.typical is (each.choice == "Webinar")
        return wording.say(reasons, leads[0])

    assert said("Webinar;Demo, request") == ["Interests includes Demo, request: raises the score"]
    assert "Interests includes Demo, request: raises the score" in said("demo, REQUEST")
    assert said("never seen")[0].startswith("Interests is never seen: rare or new, ")
    assert said(None)[0].startswith("Interests is missing: ")
    assert len(said(None)) == 1
