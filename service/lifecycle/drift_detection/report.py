"""Evidently's report of a drift check: each column's distribution beside training's, and the tests' results.

The reference holds counts and no leads, so both sides are shown by bin and value: the frame made of it has exactly
its shares, column by column, and says nothing about what goes together. The p-values are those of `shift`, for
Evidently's own take the reference for the truth and not for a sample, and correct for nothing.
"""

import os
import warnings
from collections.abc import Sequence

# Evidently reports its use to its makers unless told otherwise before it is imported.
os.environ["DO_NOT_TRACK"] = "1"

import numpy as np
import pandas as pd

with warnings.catch_warnings():
    # Evidently 0.7.23 imports numpy.core, and litestar by names that its releases since 2.23 no longer like; and
    # where it is compiled at its first import, Python dislikes its docstrings.
    warnings.filterwarnings("ignore", "invalid escape sequence", DeprecationWarning)
    warnings.filterwarnings("ignore", "numpy.core is deprecated", DeprecationWarning)
    warnings.filterwarnings("ignore", "(Call to|Use of) deprecated", DeprecationWarning)
    from evidently import DataDefinition, Dataset, Report
    from evidently.legacy.calculations.stattests import register_stattest
    from evidently.legacy.calculations.stattests.registry import StatTest
    from evidently.legacy.core import ColumnType
    from evidently.presets import DataDriftPreset

from service.history import FeatureDrift
from service.lifecycle.drift_detection.homogeneity import ALPHA, Comparison
from service.lifecycle.evaluation.quality import Scores
from service.lifecycle.training.reference_profile import counts, labels, places
from service.model.reference import Column, Reference

METHOD = "homogeneity"
SHOWN = 30
"""Columns in the report, the most drifted first; with a thousand it would be too large to open."""


def report(reference: Reference, frame: pd.DataFrame, scores: Scores, threshold: float, compared: Comparison) -> str:
    """The report as one self-contained HTML page."""
    ranked = sorted(zip(reference.features, compared.features, strict=True), key=lambda pair: pair[1].p_value)[:SHOWN]
    then: dict[str, Sequence[object]] = {}
    now: dict[str, Sequence[object]] = {}
    columns = [(reference.scores, scores), *((column, frame[column.name].to_numpy()) for column, _ in ranked)]
    for column, cells in columns:
        names = _named(column)
        then[column.name] = np.repeat(names, counts(column)).tolist()
        now[column.name] = names[places(column, cells)].tolist()
    held = reference.leads - reference.contacted
    then["decision"] = ["contact"] * reference.contacted + ["skip"] * held
    now["decision"] = np.where(scores >= threshold, "contact", "skip").tolist()
    _test_by({drift.feature: drift for drift in (compared.scores, compared.decisions, *compared.features)})
    definition = DataDefinition(categorical_columns=list(then))
    page = Report([DataDriftPreset(method=METHOD, threshold=ALPHA, include_tests=True)]).run(
        Dataset.from_pandas(pd.DataFrame(now), definition), Dataset.from_pandas(pd.DataFrame(then), definition)
    )
    return str(page.get_html_str(as_iframe=False))


def _named(column: Column) -> "np.ndarray[tuple[int], np.dtype[np.object_]]":
    """The labels, numbered so that bins stand in order, and without what a page could take for its own markup."""
    plain = [label.translate(str.maketrans("<>&", "()+")) for label in labels(column)]
    return np.array([f"{number:03d} {label}" for number, label in enumerate(plain, 1)], dtype=object)


def _test_by(results: dict[str, FeatureDrift]) -> None:
    """Make Evidently's test of this name answer with these results."""

    def answer(_: pd.Series, current: pd.Series, __: ColumnType, ___: float) -> tuple[float, bool]:
        drift = results[str(current.name)]
        return drift.p_value, drift.drifted

    test = StatTest(METHOD, "chi-squared test of homogeneity, p-value by Holm", [ColumnType.Categorical], ALPHA)
    register_stattest(test, answer)
