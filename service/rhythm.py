"""When the closed loop's jobs run, what starts a retraining, and over how many days they look.

The cloud's environments, the loop on one machine, the jobs' own defaults and the replay read this one place. It
imports nothing of the service: where stacks alone are made its libraries are not installed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Rhythm:
    """Cron lines by job, in UTC; days of leads that are evaluated and compared; days from one retraining to the next.

    Drift is looked for further back until there are `drift_leads`.
    `trigger` is why a retraining on schedule trains a challenger. In a replay outcomes come once a block, and the jobs
    run as often: all else is the same.
    """

    crons: Mapping[str, str] = field(
        default_factory=lambda: {
            "batch": "0 3 * * *",
            "evaluate": "0 5 * * *",
            "drift": "0 6 * * *",
            "retrain": "0 7 * * 1",
            "report": "0 14 * * 1",  # once the week's retraining has ended
            "compact": "20 * * * *",
        }
    )
    evaluated_days: float = 28.0
    drift_days: float = 7.0
    drift_leads: int = 500
    cool_down_days: float = 3.0
    trigger: Literal["schedule", "drift", "calibration", "hand"] = "schedule"


LOOP = Rhythm()
