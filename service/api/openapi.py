"""The scoring route's entry in the OpenAPI document: the served model's own columns in /docs."""

from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.contract import ExplainedScore, LeadScore, ScoreResponse
from service.api.problem import CONTENT_TYPE, SCHEMA
from service.api.scorer import MAX_EXPLAINED
from service.model.reasons import MOST

NO_MODEL = "no model is loaded yet"
NO_ROOM = "the records of the scores cannot be kept now; try again"
EXPLAIN = (
    f"Give each lead the `reasons` of its score: at most {MOST} features, the one that moved it most first, each with "
    "its `effect`, by how much the score is higher than if this feature alone had its `typical` value. It says what "
    "the model reacts to, not what causes a conversion, and effects need not add up. For at most "
    f"{MAX_EXPLAINED} leads a request."
)
REF = "#/components/schemas/{}"


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {CONTENT_TYPE: {"schema": SCHEMA}}}


PROBLEMS_503: dict[int | str, dict[str, Any]] = {503: _problem("No model is loaded yet.")}
NOT_READY: dict[int | str, dict[str, Any]] = {503: _problem("No model is loaded yet, or no room for records.")}
PROBLEMS_401: dict[int | str, dict[str, Any]] = {
    401: _problem("The identity-aware proxy does not vouch for the caller.")
}


def add_scoring(document: dict[str, Any], path: str, request: type[BaseModel] | None) -> None:
    """Add POST `path` to the document. Before a model is loaded its leads' fields are not known."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    body: dict[str, Any] = {"type": "object"}
    if request:
        _, definitions = models_json_schema([(request, "validation")], ref_template=REF.replace("{}", "{model}"))
        schemas.update(definitions["$defs"])
        body = {"$ref": REF.format(request.__name__)}
    (answer, *kinds), components = msgspec.json.schema_components(
        [ScoreResponse, ExplainedScore, LeadScore], ref_template=REF.replace("{}", "{name}")
    )
    components["ScoreResponse"]["properties"]["scores"]["items"] = {"anyOf": kinds}
    schemas.update(components)
    scoring = {
        "post": {
            "summary": "Score one or many leads",
            "description": "Scores all leads or none, by one model version. A missing or never-seen value is legal.",
            "operationId": "score",
            "parameters": [
                {
                    "name": "explain",
                    "in": "query",
                    "required": False,
                    "schema": {"type": "boolean", "default": False},
                    "description": EXPLAIN,
                }
            ],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {
                "200": {
                    "description": "One entry a lead, in order.",
                    "content": {"application/json": {"schema": answer}},
                },
                "400": _problem("The body is not JSON."),
                "401": _problem("The identity-aware proxy does not vouch for the caller."),
                "413": _problem("The body is too long."),
                "415": _problem("The body is not declared as JSON."),
                "422": _problem("Fields are refused; each is named by its path."),
                "503": _problem(
                    "Too many requests, no model, no room for records, or no authentication yet: try again."
                ),
            },
        }
    }
    document["paths"] = {path: scoring, **document["paths"]}
