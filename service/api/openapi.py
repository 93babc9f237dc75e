"""The scoring routes' entries in the OpenAPI document: the served model's own columns in /docs."""

from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.cells import CellsRequest, CellsResponse
from service.api.contract import ExplainedScore, ExploringScore, LeadScore, ScoreResponse
from service.api.problem import CONTENT_TYPE, SCHEMA
from service.api.scorer import MAX_EXPLAINED
from service.model.bundle import Manifest
from service.model.reasons import MOST
from service.reading.describe import DATES, missing, written

NO_MODEL = "no model is loaded yet"
NO_ROOM = "the records of the scores cannot be kept now; try again"
EXPLAIN = (
    f"Give each lead the `reasons` of its score: at most {MOST} features, the one that moved it most first, each with "
    "its `effect`, by how much the score is higher than if this feature alone had its `typical` value. It says what "
    "the model reacts to, not what causes a conversion, and effects need not add up. For at most "
    f"{MAX_EXPLAINED} leads a request."
)
CELLS = (
    "Reads each cell as the training read its file, and scores the rows that can be read. A row that cannot be read "
    "has `problems`, each with its column, and no score. Columns are found by name, without regard to case and blanks "
    "around it; others are ignored, and one that is not there counts as missing. With `explain` each row has its "
    "`reasons`, and `because` says the first of them in words."
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
        [ScoreResponse, ExplainedScore, ExploringScore, LeadScore], ref_template=REF.replace("{}", "{name}")
    )
    components["ScoreResponse"]["properties"]["scores"]["items"] = {"anyOf": kinds}
    schemas.update(components)
    told = "Scores all leads or none, by one model version. A missing or never-seen value is legal."
    scoring = _post("Score one or many leads", told, "score", body, "One entry a lead, in order.", answer)
    document["paths"] = {path: scoring, **document["paths"]}


def add_cells(document: dict[str, Any], path: str, manifest: Manifest | None, most: int) -> None:
    """Add POST `path`, which takes raw cells of so many rows, with how they may be written. After `add_scoring`."""
    schemas = document["components"]["schemas"]
    (body, answer), components = msgspec.json.schema_components(
        [CellsRequest, CellsResponse], ref_template=REF.replace("{}", "{name}")
    )
    components["CellsRequest"]["properties"]["rows"]["maxItems"] = most
    schemas.update(components)
    about = CELLS
    if manifest:
        id_column = manifest.id_column or "lead_id"
        lines = [
            f"| {_cell(f.name)} | {f.kind} | {_cell(written(f))} | {_cell(missing(f))} |"
            for f in manifest.lead_schema.features
        ]
        head = [
            "| column | kind | how a cell may be written | missing, beside an empty cell |",
            "| --- | --- | --- | --- |",
        ]
        about += f" The lead's id is in the column `{id_column}`. {DATES}\n\n" + "\n".join([*head, *lines])
    scoring = _post("Score rows of raw cells", about, "score_cells", body, "One entry a row, in order.", answer)
    responses: dict[str, Any] = scoring["post"]["responses"]
    responses["409"] = _problem(
        "The columns are not those of the served model; the message names those that the model reads."
    )
    scoring["post"]["responses"] = dict(sorted(responses.items()))
    first, *others = document["paths"].items()
    document["paths"] = dict([first, (path, scoring), *others])


def _cell(text: str) -> str:
    """The text in a cell of a Markdown table."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _post(
    summary: str, description: str, name: str, body: dict[str, Any], gives: str, answer: dict[str, Any]
) -> dict[str, Any]:
    """A scoring route's entry."""
    return {
        "post": {
            "summary": summary,
            "description": description,
            "operationId": name,
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
                "200": {"description": gives, "content": {"application/json": {"schema": answer}}},
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
