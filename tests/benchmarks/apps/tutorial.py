"""The way that tutorials serve a model: leads by pydantic, to a DataFrame, to `predict_proba`.

BENCH_MODEL names the file of the model, BENCH_SCHEMA the kinds of its columns as JSON.
"""

import json
import os
from typing import Any

import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel, create_model
from skops.io import get_untrusted_types, load

KINDS: dict[str, str] = json.loads(os.environ["BENCH_SCHEMA"])
TYPES: dict[str, Any] = {"number": float | None, "boolean": bool | None, "category": str | None}
model = load(os.environ["BENCH_MODEL"], trusted=get_untrusted_types(file=os.environ["BENCH_MODEL"]))
Lead = create_model("Lead", **{name: (TYPES[kind], None) for name, kind in KINDS.items()})  # type: ignore[call-overload]
app = FastAPI()


class Leads(BaseModel):
    """The request."""

    leads: list[Lead]


@app.get("/health")
def health() -> dict[str, str]:
    """The model is loaded."""
    return {}


@app.post("/score")
def score(request: Leads) -> dict[str, list[float]]:
    """The leads' scores."""
    frame = pd.DataFrame([lead.model_dump() for lead in request.leads])
    for name, kind in KINDS.items():
        frame[name] = frame[name].fillna("").astype(object) if kind == "category" else frame[name].astype(float)
    return {"scores": model.predict_proba(frame)[:, 1].tolist()}
