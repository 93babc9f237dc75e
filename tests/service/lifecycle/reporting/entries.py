"""Entries of the history as a week leaves them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from service.history import ContactGroup, Contacts, Decision, DriftCheck, Estimate, Evaluation, FeatureDrift

NOW = datetime(2026, 3, 2, 14, tzinfo=UTC)
DAY = timedelta(days=1)


def contacts(**more: Any) -> Contacts:
    """Contacts that earned 31,234 more than as many at random."""
    given: dict[str, Any] = {
        "from_files": True,
        "leads": 84_000,
        "groups": {
            "line": ContactGroup(contacted=9_120, with_outcome=8_800, converted=2_410),
            "exploration": ContactGroup(contacted=455, with_outcome=440, converted=23),
            "sales": ContactGroup(contacted=120, with_outcome=110, converted=12),
        },
        "not_reached": 310,
        "revenue": 243_300.0,
        "cost": 92_400.0,
        "earned": Estimate(31_234.0, 27_300.0, 35_050.0),
        "no_estimate": "",
    }
    return Contacts(**given | more)


def evaluation(time: datetime = NOW - DAY / 4, **more: Any) -> Evaluation:
    """An evaluation of leads 30 to 58 days before."""
    given: dict[str, Any] = {
        "since": time - 58 * DAY,
        "until": time - 30 * DAY,
        "model_version": "v1",
        "leads": 9_350,
        "without_outcome": 1_200,
        "complete": True,
        "missing_records": 0.0,
        "figures": {},
        "benchmark": {},
        "bands": (),
        "business": {},
        "changes": (),
        "mlflow_run_id": "r",
        "contacts": contacts(),
    }
    return Evaluation(time=time, **given | more)


def decision(action: Any, trigger: Any = "schedule", days: float = 2, **more: Any) -> Decision:
    """A decision of so many days ago, with the author and a reason that `retrain` gives."""
    given: dict[str, Any] = {
        "version": "v2",
        "before": "v1",
        "author": "service.lifecycle.retrain",
        "reason": "better in roc_auc by 0.0300 (0.0100 to 0.0500)",
    }
    return Decision(time=NOW - days * DAY, action=action, trigger=trigger, **given | more)


def drift(found: bool, *features: str) -> DriftCheck:
    """A drift check that found these features changed."""

    def changed(name: str) -> FeatureDrift:
        return FeatureDrift(
            feature=name,
            distance=0.3,
            p_value=0.001,
            influence=0.1,
            drifted=found,
            missing=0.0,
            missing_in_training=0.0,
            unseen=0.0,
        )

    return DriftCheck(
        time=NOW - DAY,
        since=NOW - 8 * DAY,
        until=NOW - DAY,
        model_version="v1",
        leads=9,
        found=found,
        features=tuple(map(changed, features)),
        scores=changed("scores"),
        decisions=changed("decisions"),
        expected={},
        benchmark={},
        reasons=(),
        mlflow_run_id="r",
    )
