"""Renders alerts as a Prometheus rule file: `python -m monitoring.prometheus > rules.yaml`."""

import sys
from collections.abc import Iterable

import yaml

from monitoring import catalogue
from monitoring.alerts import Alert
from monitoring.promql import duration


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block, so that an expression reads as it was written."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def rules(alerts: Iterable[Alert]) -> str:
    """A rule file (YAML) with one group; each expr is the alert's, byte for byte."""
    group = {"name": "leadscoring", "rules": [_rule(alert) for alert in alerts]}
    return yaml.dump({"groups": [group]}, Dumper=_Dumper, sort_keys=False, width=110)


def _rule(alert: Alert) -> dict[str, object]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": duration(alert.hold),
        "labels": {"severity": alert.severity.value},
        "annotations": {"summary": alert.summary, "runbook": alert.runbook},
    }


if __name__ == "__main__":
    sys.stdout.write(rules(catalogue.alerts()))
