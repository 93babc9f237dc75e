"""Scores that only rise, or only fall, with a number: as the recipe's table `monotone` says."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from service.lifecycle.data.source import Direction
from service.model.schema import LeadSchema
from service.reading.error import SourceError

SIGN: Mapping[Direction, int] = {"increasing": 1, "decreasing": -1}


def signs(schema: LeadSchema, monotone: Mapping[str, Direction]) -> dict[str, int]:
    """1 for each number with which the score may only rise, -1 where it may only fall.

    Raises SourceError where a column is no input, or is a category, whose values have no order.
    """
    for name in monotone:
        if name not in schema.named("number", "boolean", "category"):
            raise SourceError(f"recipe.monotone: {name!r} is no input of the model; correct or remove the line")
        if name in schema.named("category"):
            raise SourceError(
                f"recipe.monotone: {name!r} is a category, and its values have no order; name numbers and yes/no "
                'columns only, or say under [kinds] that it is a "number"'
            )
    return {name: SIGN[direction] for name, direction in monotone.items()}


class MonotoneLogisticRegression(LogisticRegression):  # type: ignore[misc]  # scikit-learn states no types
    """Logistic regression in which coefficients of some blocks of columns are bound.

    A block is (first column, column behind the last, sign). Where blocks are `chained`, each coefficient is at least
    (sign 1) or at most (-1) the one before it: the height of a spline at its knots. Else each has that sign itself.
    """

    def __init__(
        self,
        C: float = 0.5,  # noqa: N803  scikit-learn's name
        max_iter: int = 2_000,
        blocks: tuple[tuple[int, int, int], ...] = (),
        chained: bool = False,
    ) -> None:
        super().__init__(C=C, max_iter=max_iter)
        self.blocks = blocks
        self.chained = chained

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Minimize what LogisticRegression does, within the bounds."""
        matrix, outcome = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
        weights = np.ones(len(outcome)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        width, total = matrix.shape[1], float(weights.sum())
        # Coefficients are `steps @ x`, with x bound from below by 0 where a block says so.
        steps = np.eye(width)
        least: list[float | None] = [None] * (width + 1)
        for first, end, sign in self.blocks:
            if self.chained:
                steps[first:end, first:end] = sign * np.tri(end - first)
            else:
                steps[first:end, first:end] *= sign
            least[first + self.chained : end] = [0.0] * (end - first - self.chained)

        def loss(x: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            coefficients = steps @ x[:-1]
            margin = matrix @ coefficients + x[-1]
            off = weights * (np.exp(-np.logaddexp(0, -margin)) - outcome)
            slope = matrix.T @ off + coefficients / self.C
            value = float(weights @ (np.logaddexp(0, margin) - outcome * margin))
            value += float(coefficients @ coefficients) / (2 * self.C)
            return value / total, np.append(steps.T @ slope, off.sum()) / total

        bounds = [(low, None) for low in least]
        options = {"maxiter": self.max_iter, "gtol": 1e-6, "ftol": 1e-12}
        found = minimize(loss, np.zeros(width + 1), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        self.classes_, self.n_features_in_ = np.unique(y), width
        self.coef_, self.intercept_ = (steps @ found.x[:-1])[np.newaxis], found.x[-1:]
        self.n_iter_ = np.array([found.nit])
        return self


def plain(pipeline: Pipeline) -> Pipeline:
    """The fitted pipeline of scikit-learn's own types: who loads it from MLflow needs no code of this project."""
    model = pipeline.named_steps["model"]
    if not isinstance(model, MonotoneLogisticRegression):
        return pipeline
    unbound = LogisticRegression(C=model.C, max_iter=model.max_iter)
    for name in ("classes_", "n_features_in_", "coef_", "intercept_", "n_iter_"):
        setattr(unbound, name, getattr(model, name))
    return Pipeline([*pipeline.steps[:-1], ("model", unbound)])
