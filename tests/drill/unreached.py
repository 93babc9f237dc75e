"""The alerts that a drill cannot reach, why, and in which file of cases each is proven instead."""

import importlib
import pkgutil
import re
from collections.abc import Iterable
from dataclasses import dataclass

from monitoring import catalogue, google
from monitoring.alerts import Alert
from monitoring.promql.text import metric_names
from monitoring.proof import scenarios

CLUSTER = re.compile("kube_(?!deployment_)")
"""Metrics of the cluster; those of its Deployment are exported here."""
NOT_LOCAL = {
    True: "reads metrics of Google's or of the cluster, which nothing here exports",
    False: "no fault of this drill sets it off",
}


@dataclass(frozen=True)
class Unreached:
    """Alerts of one reason that one file proves."""

    why: str
    proven_in: str
    alerts: tuple[str, ...]


def unreached(reached: Iterable[str]) -> list[Unreached]:
    """All alerts of the catalogue but these. Raises KeyError for one that no case fires."""
    by_place: dict[tuple[bool, str], list[str]] = {}
    known, files = set(reached), proofs()
    for alert in catalogue.alerts():
        if alert.name not in known:
            by_place.setdefault((foreign(alert), files[alert.name]), []).append(alert.name)
    return [
        Unreached(NOT_LOCAL[of_others], file, tuple(names))
        for (of_others, file), names in sorted(by_place.items(), reverse=True)
    ]


def foreign(alert: Alert) -> bool:
    """Whether it reads what only Google or a cluster exports."""
    return any(google.of(name) or CLUSTER.match(name) for name in metric_names(alert.expr))


def proofs() -> dict[str, str]:
    """The first file with a case that fires an alert, by the alert's name."""
    told = [
        (place, name, f"monitoring/proof/scenarios/{module.name}.py")
        for module in pkgutil.iter_modules(scenarios.__path__)
        for case in getattr(importlib.import_module(f"{scenarios.__name__}.{module.name}"), "CASES", ())
        for place, name in enumerate(case.fires)
    ]
    # Of several files, that in which the alert is the first of a case: others mention it beside theirs.
    found: dict[str, str] = {}
    for _, name, file in sorted(told, key=lambda each: each[0]):
        found.setdefault(name, file)
    return found
