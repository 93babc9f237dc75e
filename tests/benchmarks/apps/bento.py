"""The model behind BentoML, with BentoML's defaults. BENCH_MODEL and BENCH_SCHEMA as for the tutorial's way."""

import json
import os
from typing import Any

import bentoml
import pandas as pd
from skops.io import get_untrusted_types, load


@bentoml.service(workers=1)
class Scoring:
    """Leads as records in, scores out."""

    def __init__(self) -> None:
        file = os.environ["BENCH_MODEL"]
        self._kinds: dict[str, str] = json.loads(os.environ["BENCH_SCHEMA"])
        self._model = load(file, trusted=get_untrusted_types(file=file))

    @bentoml.api  # type: ignore[untyped-decorator]
    def score(self, leads: list[dict[str, Any]]) -> list[float]:
        """The leads' scores."""
        frame = pd.DataFrame(leads)
        for name, kind in self._kinds.items():
            frame[name] = frame[name].fillna("").astype(object) if kind == "category" else frame[name].astype(float)
        scores: list[float] = self._model.predict_proba(frame)[:, 1].tolist()
        return scores
