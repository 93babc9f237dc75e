"""The scoring route's entry in the OpenAPI document: the served model's own columns in /docs."""

from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.contract import ScoreResponse
from service.api.problem import CONTENT_TYPE, SCHEMA

NO_MODEL = "no model is loaded yet"
REF = "#/components/schemas/{}"


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {CONTENT_TYPE: {"schema": SCHEMA}}}


PROBLEMS_503: dict[int | str, dict[str, Any]] = {503: _problem("No model is loaded yet.")}
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
    (answer,), components = msgspec.json.schema_components([ScoreResponse], ref_template=REF.replace("{}", "{name}"))
    schemas.update(components)
    scoring = {
        "post": {
            "summary": "Score one or many leads",
            "description": "Scores all leads or none, by one model version. A missing or never-seen value is legal.",
            "operationId": "score",
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
                "503": _problem("No model, no room for records, or authentication not configured; try again."),
            },
        }
    }
    document["paths"] = {path: scoring, **document["paths"]}
