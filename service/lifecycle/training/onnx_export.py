"""From a fitted scikit-learn pipeline to an ONNX graph that gives the same scores, or a refusal.

The graph takes one float64 matrix and computes in float64, because split thresholds lie exactly on data values:
rounded to float32, a row can fall on the other side.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pandas as pd
from onnx import TensorProto, helper, numpy_helper
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline

from service.lifecycle.data.source import Direction
from service.lifecycle.training.candidates import CHOICES
from service.lifecycle.training.golden import as_received, probes
from service.lifecycle.training.monotone import signs
from service.model import trees as tables
from service.model.bundle import TOLERANCE
from service.model.engine import TREES, Category, Encoding, Engine
from service.model.schema import LeadSchema

OPSET, ML_OPSET, IR_VERSION = 17, 3, 8
ROWS, STEPS, ROUNDING = 50, 100, 1e-9
"""Of the check of bound numbers: leads, values, and how far a score may move the wrong way."""
Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Exported:
    """The graph's bytes, and where each feature stands in its input."""

    onnx: bytes
    encoding: Encoding


class ParityError(Exception):
    """The exported graph does not score as scikit-learn does; the model must not be published."""


class NotMonotone(ParityError):
    """The exported graph moves a score the way that the recipe excludes; the model must not be published."""


def to_onnx(pipeline: Pipeline) -> Exported:
    """Export one of `candidates`, fitted. Raises TypeError on a model that it does not know."""
    encoder, model = pipeline.named_steps["encode"], pipeline.named_steps["model"]
    encoding = _encoding(encoder)
    slope, offset = -1.0, 0.0
    if isinstance(model, CalibratedClassifierCV):
        (calibrated,) = model.calibrated_classifiers_
        (sigmoid,) = calibrated.calibrators
        slope, offset, model = float(sigmoid.a_), float(sigmoid.b_), calibrated.estimator
    graph = _Graph()
    scaling = encoder.named_transformers_.get("numbers")
    if isinstance(model, LogisticRegression) and isinstance(scaling, FeatureUnion):
        margin = _splines(graph, scaling, model, encoding)
    elif isinstance(model, LogisticRegression):
        margin = _linear(graph, scaling, model, encoding)
    elif hasattr(model, "_predictors"):
        margin = _trees(graph, model, slope, offset)
    else:
        raise TypeError(
            f"no ONNX export for {type(model).__name__}: add one to service/lifecycle/training/onnx_export.py"
        )
    # scikit-learn's calibration is 1 / (1 + exp(slope * margin + offset)).
    calibrated_margin = graph.node("Add", graph.node("Mul", margin, graph.constant(-slope)), graph.constant(-offset))
    graph.node("Reshape", graph.node("Sigmoid", calibrated_margin), graph.constant([-1], np.int64), out="score")
    return Exported(graph.model(encoding.width), encoding)


def check_parity(pipeline: Pipeline, exported: Exported, schema: LeadSchema, frame: pd.DataFrame) -> None:
    """Compare the engines, the service's way from JSON to score against scikit-learn on the float64 values.

    Compared are these prepared rows and `probes` of them. Raises ParityError, which names the worst lead, beyond
    TOLERANCE. An invented lead is shown; of another only the place is, because the message is recorded.
    """
    rows = pd.concat([frame, probes(pipeline, schema, frame, each=25)], ignore_index=True)
    engine = Engine(exported.onnx, exported.encoding, schema)
    leads = [as_received(schema, row) for row in rows.to_dict("records")]
    matrix = engine.encode(engine.parse(json.dumps(leads).encode()))
    expected = pipeline.predict_proba(rows)[:, 1]
    # A score that is not a number compares false with everything: turn the comparison so that it is refused.
    distance = np.maximum(np.abs(engine.score_matrix(matrix) - expected), np.abs(engine.run_graph(matrix) - expected))
    if not (distance <= TOLERANCE).all():
        worst = int(np.nan_to_num(distance, nan=np.inf).argmax())
        where = f"held-out lead {worst + 1}" if worst < len(frame) else f"the invented lead {leads[worst]}"
        raise ParityError(f"ONNX and scikit-learn differ by {distance[worst]:.2g} (allowed: {TOLERANCE:g}) on {where}")


def check_monotone(
    exported: Exported, schema: LeadSchema, frame: pd.DataFrame, monotone: Mapping[str, Direction]
) -> None:
    """Score the first of these prepared rows, the service's way, with each bound number at up to STEPS of its values.

    Raises NotMonotone where a score moves against the number's direction by more than rounding.
    """
    engine = Engine(exported.onnx, exported.encoding, schema)
    leads = [as_received(schema, row) for row in frame.head(ROWS).to_dict("records")]
    matrix = engine.encode(engine.parse(json.dumps(leads).encode()))
    for name, sign in signs(schema, monotone).items():
        if name not in exported.encoding.numbers or not (known := frame[name].dropna()).size:
            continue
        values = np.unique(np.quantile(known, np.linspace(0, 1, STEPS)))
        rows = np.tile(matrix, (len(values), 1))
        rows[:, exported.encoding.numbers.index(name)] = np.repeat(values, len(matrix))
        worst = (-sign * np.diff(engine.score_matrix(rows).reshape(len(values), -1), axis=0)).max(initial=0.0)
        if not worst <= ROUNDING:
            raise NotMonotone(
                f"where {name!r} rises a score {'falls' if sign > 0 else 'rises'} by {worst:.2g}, though the recipe "
                f"calls it {monotone[name]}; correct recipe.monotone or name another candidate"
            )


def _encoding(encoder: Any) -> Encoding:
    """Read the fitted ColumnTransformer: numbers first, then the values' and the choices' columns in its order."""
    columns = {name: list(names) for name, _, names in encoder.transformers_}
    numbers, names = columns.get("numbers", []), columns.get("categories", [])
    categories, width = {}, len(numbers)
    if names:
        one_hot = encoder.named_transformers_["categories"]
        for name, values, rare in zip(names, one_hot.categories_, one_hot.infrequent_categories_, strict=True):
            grouped = set() if rare is None else set(rare)
            frequent = [str(v) for v in values if v not in grouped]
            other = width + len(frequent) if grouped else None
            categories[name] = Category(columns={v: width + i for i, v in enumerate(frequent)}, other=other)
            width += len(frequent) + bool(grouped)
    for step, fitted, name in encoder.transformers_:
        if step.startswith(CHOICES):
            categories[name] = Category(columns={v: width + int(i) for v, i in fitted.vocabulary_.items()}, other=None)
            width += len(fitted.vocabulary_)
    return Encoding(numbers=tuple(numbers), categories=categories, width=width)


def _linear(graph: "_Graph", scaling: Pipeline | None, model: LogisticRegression, encoding: Encoding) -> str:
    """Imputation, scaling and regression folded into one product over the values and one over their absence."""
    count = len(encoding.numbers)
    coefficients = model.coef_[0]
    fill, weights, absent = (np.zeros(encoding.width) for _ in range(3))
    bias = float(model.intercept_[0])
    scaled = len(coefficients) - (encoding.width - count)
    weights[count:] = coefficients[scaled:]
    if count and scaling is not None:
        imputer, scaler = scaling.named_steps["simpleimputer"], scaling.named_steps["standardscaler"]
        slopes = coefficients[:scaled] / scaler.scale_
        bias -= float(slopes @ scaler.mean_)
        fill[:count], weights[:count] = imputer.statistics_, slopes[:count]
        if imputer.indicator_ is not None:
            absent[imputer.indicator_.features_] = slopes[count:]
    missing = graph.node("IsNaN", "leads")
    filled = graph.node("Where", missing, graph.constant(fill), "leads")
    margin = graph.node("MatMul", filled, graph.constant(weights.reshape(-1, 1)))
    if absent.any():
        indicator = graph.node("Cast", missing, to=TensorProto.DOUBLE)
        margin = graph.node("Add", margin, graph.node("MatMul", indicator, graph.constant(absent.reshape(-1, 1))))
    return graph.node("Add", margin, graph.constant(bias))


def _splines(graph: "_Graph", scaling: FeatureUnion, model: LogisticRegression, encoding: Encoding) -> str:
    """A line's height at its first knot, and what each piece between two knots adds as a value passes along it."""
    count, coefficients = len(encoding.numbers), model.coef_[0]
    weights, bias = np.zeros(encoding.width), float(model.intercept_[0])
    scaled = len(coefficients) - (encoding.width - count)
    weights[count:] = coefficients[scaled:]
    if not count:
        return graph.node(
            "Add", graph.node("MatMul", "leads", graph.constant(weights[:, np.newaxis])), graph.constant(bias)
        )
    (_, lines), (_, indicator) = scaling.transformer_list
    each = lines.named_steps["columntransformer"].named_transformers_
    fill, absent, start = np.zeros(encoding.width), np.zeros(encoding.width), 0
    columns, lows, spans, rises = [], [], [], []
    for column in range(count):
        (line,) = each[f"{column}"].bsplines_
        knots = line.t[1:-1]  # of degree 1: one more lies outside at each end
        heights = coefficients[start : start + len(knots)]
        columns += [column] * (len(knots) - 1)
        lows.append(knots[:-1])
        spans.append(np.diff(knots))
        rises.append(np.diff(heights))
        bias, start = bias + float(heights[0]), start + len(knots)
    fill[:count] = lines.named_steps["simpleimputer"].statistics_
    absent[indicator.features_] = coefficients[start:scaled]
    missing = graph.node("IsNaN", "leads")
    filled = graph.node("Where", missing, graph.constant(fill), "leads")
    along = graph.node("Gather", filled, graph.constant(columns, np.int64), axis=1)
    along = graph.node("Sub", along, graph.constant(np.concatenate(lows)))
    along = graph.node("Div", along, graph.constant(np.concatenate(spans)))
    along = graph.node("Clip", along, graph.constant(0.0), graph.constant(1.0))
    margin = graph.node("MatMul", along, graph.constant(np.concatenate(rises).reshape(-1, 1)))
    margin = graph.node("Add", margin, graph.node("MatMul", filled, graph.constant(weights.reshape(-1, 1))))
    indicators = graph.node("Cast", missing, to=TensorProto.DOUBLE)
    margin = graph.node("Add", margin, graph.node("MatMul", indicators, graph.constant(absent.reshape(-1, 1))))
    return graph.node("Add", margin, graph.constant(bias))


def _trees(graph: "_Graph", model: Any, slope: float, offset: float) -> str:
    """All trees as one ensemble, and in the metadata. Reads scikit-learn's own nodes; parity is checked on export."""
    trees = [predictor.nodes for (predictor,) in model._predictors]
    nodes = np.concatenate(trees)
    tree_ids = np.repeat(np.arange(len(trees)), [len(t) for t in trees])
    node_ids = np.concatenate([np.arange(len(t)) for t in trees])
    leaf = nodes["is_leaf"].astype(bool)
    if nodes["is_categorical"].any():
        raise TypeError("trees with native categories have no faithful ONNX form; encode categories first")
    if np.bincount(tree_ids, leaf).max() <= tables.MAX_LEAVES:
        plain = np.zeros(len(nodes), tables.NODE)
        plain["tree"], plain["feature"], plain["threshold"] = tree_ids, nodes["feature_idx"], nodes["num_threshold"]
        plain["missing_left"], plain["value"] = nodes["missing_go_to_left"], nodes["value"]
        plain["left"], plain["right"] = np.where(leaf, 0, nodes["left"]), np.where(leaf, 0, nodes["right"])
        graph.metadata[TREES] = tables.dump(plain, float(np.ravel(model._baseline_prediction)[0]), slope, offset)
    margin = graph.node(
        "TreeEnsembleRegressor",
        "leads",
        domain="ai.onnx.ml",
        n_targets=1,
        base_values_as_tensor=numpy_helper.from_array(np.ravel(model._baseline_prediction).astype(np.float64)),
        nodes_treeids=tree_ids.tolist(),
        nodes_nodeids=node_ids.tolist(),
        nodes_featureids=nodes["feature_idx"].tolist(),
        nodes_values_as_tensor=numpy_helper.from_array(nodes["num_threshold"].astype(np.float64)),
        nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_truenodeids=nodes["left"].astype(np.int64).tolist(),
        nodes_falsenodeids=nodes["right"].astype(np.int64).tolist(),
        nodes_missing_value_tracks_true=nodes["missing_go_to_left"].astype(np.int64).tolist(),
        target_treeids=tree_ids[leaf].tolist(),
        target_nodeids=node_ids[leaf].tolist(),
        target_ids=[0] * int(leaf.sum()),
        target_weights_as_tensor=numpy_helper.from_array(nodes["value"][leaf].astype(np.float64)),
    )
    return graph.node("Cast", margin, to=TensorProto.DOUBLE)


class _Graph:
    """Nodes and constants collected in order, each named by its number."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self.metadata: dict[str, str] = {}

    def constant(self, value: float | list[int] | Array, dtype: type = np.float64) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def node(self, kind: str, *inputs: str, out: str | None = None, **attributes: object) -> str:
        name = out or f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def model(self, width: int) -> bytes:
        leads = helper.make_tensor_value_info("leads", TensorProto.DOUBLE, [None, width])
        score = helper.make_tensor_value_info("score", TensorProto.DOUBLE, [None])
        graph = helper.make_graph(self._nodes, "lead-scoring", [leads], [score], self._constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        helper.set_model_props(model, self.metadata)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())
