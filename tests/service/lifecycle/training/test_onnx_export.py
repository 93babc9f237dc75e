import dataclasses
import json

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline

from service.lifecycle.training.candidates import MAX_CATEGORIES, candidates
from service.lifecycle.training.golden import EXTREMES, NEVER_SEEN, as_received, probes, thresholds
from service.lifecycle.training.onnx_export import ParityError, check_parity, to_onnx
from service.model.engine import Engine
from service.model.schema import Feature, LeadSchema
from tests.service import forge


@pytest.mark.parametrize("name", ["logistic_regression", "spline_regression", "gradient_boosting"])
def test_every_candidate_scores_the_same_on_both_engines(name: str) -> None:
    pipeline, frame = forge.train(name)
    check_parity(pipeline, to_onnx(pipeline), forge.SCHEMA, frame)


def test_a_graph_of_another_model_is_refused() -> None:
    pipeline, frame = forge.train()
    other, _ = forge.train(seed=3)
    with pytest.raises(ParityError, match=r"differ by .* on (the invented lead \{|held-out lead \d+$)"):
        check_parity(pipeline, to_onnx(other), forge.SCHEMA, frame)


def test_a_difference_on_one_lead_alone_is_found() -> None:
    """A threshold rounded to float32 is right for all leads but those that lie on it."""
    pipeline, frame = forge.train("gradient_boosting")
    exact = to_onnx(pipeline)
    rounded = dataclasses.replace(exact, onnx=_with_float32_thresholds(exact.onnx))
    trees = pipeline.named_steps["model"].calibrated_classifiers_[0].estimator
    splits = np.concatenate([p[0].nodes["num_threshold"][p[0].nodes["feature_idx"] == 1] for p in trees._predictors])
    on_split = frame.iloc[: len(splits)].assign(**{"days.since contact": splits[: len(frame)]})
    check_parity(pipeline, exact, forge.SCHEMA, on_split)
    with pytest.raises(ParityError):
        check_parity(pipeline, rounded, forge.SCHEMA, on_split)


def _with_float32_thresholds(graph: bytes) -> bytes:
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(graph)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "nodes_values_as_tensor":
                values = numpy_helper.to_array(attribute.t).astype(np.float32).astype(np.float64)
                attribute.t.CopyFrom(numpy_helper.from_array(np.nextafter(values, -np.inf)))
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("way", ["score_matrix", "run_graph"])
def test_a_score_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    pipeline, frame = forge.train()
    monkeypatch.setattr(Engine, way, lambda self, matrix: np.full(len(matrix), np.nan))
    with pytest.raises(ParityError):
        check_parity(pipeline, to_onnx(pipeline), forge.SCHEMA, frame)


def test_probes_hold_each_feature_missing_never_seen_and_extreme() -> None:
    frame, _ = forge.rows()
    made = probes(forge.train("gradient_boosting")[0], forge.SCHEMA, frame)
    for feature in forge.SCHEMA.features:
        if feature.kind == "category":
            assert {"", NEVER_SEEN} <= set(made[feature.name])
        else:
            assert made[feature.name].isna().any()
        if feature.kind == "number":
            assert set(EXTREMES) <= set(made[feature.name])


def test_golden_rows_of_trees_lie_on_both_sides_of_a_threshold() -> None:
    pipeline, frame = forge.train("gradient_boosting")
    made = probes(pipeline, forge.SCHEMA, frame)
    for name in ("visits", "days.since contact"):
        cells, known = set(made[name]), thresholds(pipeline)[name]
        assert any(at in cells and np.nextafter(at, np.inf) in cells for at in known)


def test_no_probe_is_a_number_that_means_missing() -> None:
    pipeline, frame = forge.train()
    made = probes(pipeline, forge.SCHEMA, frame.assign(**{"days.since contact": 999.0}))
    assert 999.0 not in set(made["days.since contact"])


def test_rare_categories_share_an_input() -> None:
    values = [f"v{i}" for i in range(MAX_CATEGORIES + 10)]
    names = np.array(values * 5 + values[:20] * 10, dtype=object)
    frame, _ = forge.rows(len(names))
    frame = frame.assign(region=names)
    outcome = (frame["region"] < "v3").to_numpy().astype(int)
    pipeline = candidates(forge.SCHEMA, frame)["logistic_regression"].fit(frame, outcome)
    exported = to_onnx(pipeline)
    region = exported.encoding.categories["region"]
    assert len(region.columns) == MAX_CATEGORIES - 1
    assert region.other is not None
    check_parity(pipeline, exported, forge.SCHEMA, frame)


def test_a_number_that_is_missing_throughout_is_left_out() -> None:
    frame, outcome = forge.rows()
    frame = frame.assign(visits=np.nan)
    for pipeline in candidates(forge.SCHEMA, frame).values():
        exported = to_onnx(pipeline.fit(frame, outcome))
        assert exported.encoding.numbers == ("days.since contact", "opted_in")
        check_parity(pipeline, exported, forge.SCHEMA, frame)


@pytest.mark.parametrize("kind", ["number", "category"])
def test_leads_of_one_kind_alone_are_exported(kind: str) -> None:
    schema = LeadSchema(features=tuple(f for f in forge.SCHEMA.features if f.kind == kind))
    frame, outcome = forge.rows()
    frame = frame[schema.named("number", "category")]
    for pipeline in candidates(schema, frame).values():
        check_parity(pipeline.fit(frame, outcome), to_onnx(pipeline), schema, frame)


def test_a_model_without_an_export_is_refused_by_name() -> None:
    pipeline, _ = forge.train()
    stranger = Pipeline([pipeline.steps[0], ("model", DummyClassifier().fit([[0]], [0]))])
    with pytest.raises(TypeError, match="DummyClassifier"):
        to_onnx(stranger)


def test_a_prepared_row_goes_back_to_what_a_caller_sends() -> None:
    schema = LeadSchema(features=(Feature(name="b", kind="boolean"), Feature(name="c", kind="category")))
    assert json.dumps(as_received(schema, {"b": 1.0, "c": ""})) == '{"b": true, "c": null}'
