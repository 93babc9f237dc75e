"""Callers: leads of the built-in sample, a few a request, some requests a second."""

import itertools
import json
import threading
import urllib.error
import urllib.request

import numpy as np

from service.lifecycle.data.sample import Drift, Sample, generate
from service.lifecycle.training.golden import as_received
from service.model.schema import LeadSchema

EVERY_S, AT_ONCE = 0.15, 3
KINDS = 3_000
"""Different leads of each sort; they come again with other ids."""


class Traffic(threading.Thread):
    """Sends until stopped. `drifted` sends leads whose tracking is lost."""

    def __init__(self, port: int, schema: LeadSchema) -> None:
        super().__init__(name="traffic", daemon=True)
        self.drifted = False
        self.sent = 0
        self._url, self._over = f"http://127.0.0.1:{port}/v1/score", threading.Event()
        sample = Sample(rows=KINDS, seed=77)
        self._leads = _features(schema, sample)
        self._drifted = _features(schema, sample.model_copy(update={"drift": Drift(kind="lost_tracking")}))

    def run(self) -> None:
        """Send on and on."""
        for turn in itertools.count(step=AT_ONCE):
            if self._over.wait(EVERY_S):
                return
            self._send(turn)

    def stop(self) -> None:
        """Send no more."""
        self._over.set()
        self.join(15)

    def _send(self, turn: int) -> None:
        kinds = self._drifted if self.drifted else self._leads
        leads = [{"lead_id": f"D-{n:08d}", "features": kinds[n % KINDS]} for n in range(turn, turn + AT_ONCE)]
        request = urllib.request.Request(
            self._url, json.dumps({"leads": leads}).encode(), {"Content-Type": "application/json"}
        )
        try:
            urllib.request.urlopen(request, timeout=10).close()
            self.sent += AT_ONCE
        except urllib.error.HTTPError as refused:
            refused.close()  # what callers get while it is broken
        except OSError:
            pass


def _features(schema: LeadSchema, sample: Sample) -> list[dict[str, object]]:
    frame = generate(sample).frame[[feature.name for feature in schema.features]]
    rows = frame.to_dict("records")
    return [dict(as_received(schema, {k: np.nan if v is None else v for k, v in row.items()})) for row in rows]
