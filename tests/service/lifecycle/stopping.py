"""Runs a retraining that is killed at a named step: `python -m tests.service.lifecycle.stopping STEP ARGUMENTS`.

Nothing in the product knows of it: functions are wrapped here, in a process of its own.
"""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

from service import history, tracking
from service.lifecycle import retrain
from service.lifecycle.runtime import runner
from service.lifecycle.runtime.gauges import Gauge
from service.storage import Bucket
from tests.service.lifecycle.loop import after, kill


def train() -> None:
    patch.object(retrain, "refit", kill).start()


def register() -> None:
    patch.object(tracking.Run, "register", after(tracking.Run.register)).start()


def upload() -> None:
    patch.object(Bucket, "create", after(Bucket.create, lambda _, key, *__: key.endswith("golden.json"))).start()


def uploaded() -> None:
    patch.object(Bucket, "create", after(Bucket.create, lambda _, key, *__: key.endswith("SHA256SUMS"))).start()


def pointer() -> None:
    patch.object(Bucket, "swap", after(Bucket.swap, lambda _, key, *__: key == "champion.json")).start()


def record() -> None:
    patch.object(history, "append", after(history.append, lambda _, entry: entry.trigger == "schedule")).start()


def alias() -> None:
    patch.object(tracking, "follow", after(tracking.follow, lambda *given: given[3].trigger == "schedule")).start()


def output() -> None:
    whole = runner._publish

    def at_the_end(target: str, name: str, gauges: Sequence[Gauge], *more: Any) -> int:
        if any(gauge.name == "leadscoring_job_last_success_timestamp_seconds" for gauge in gauges):
            kill()
        return whole(target, name, gauges, *more)  # that it started

    patch.object(runner, "_publish", at_the_end).start()


STEPS: dict[str, Callable[[], None]] = {
    each.__name__: each for each in (train, register, upload, uploaded, pointer, record, alias, output)
}

if __name__ == "__main__":
    STEPS[sys.argv[1]]()
    sys.exit(retrain.main(json.loads(sys.argv[2])))
