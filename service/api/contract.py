"""Request and response types, made from the served model's lead schema.

The same types exist twice, for a reason: msgspec structs decode the hot route at speed but stop at the first error;
the pydantic model describes the API in /docs and, once a request was refused, names every offending field. A test
holds that both accept the same requests.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from service.api.problem import FieldError, Problem
from service.model.bundle import Bundle
from service.model.decide import Decision
from service.model.reasons import Reason
from service.model.schema import MAX_ID, MAX_NUMBER, MAX_TEXT, Kind

MAX_ERRORS = 100
"""Offending fields that an answer names; a body can hold a million."""


class LeadScore(msgspec.Struct, frozen=True):
    """The answer for one lead."""

    lead_id: str
    score: float
    decision: Decision
    band: str
    model_version: str


class ExplainedScore(LeadScore, frozen=True):
    """The answer for one lead with its reasons. A type of its own: a field more would cost the others a tenth."""

    reasons: list[Reason]


class ScoreResponse(msgspec.Struct, frozen=True):
    """The answer to a request: one entry a lead, in the request's order."""

    request_id: str
    scores: Sequence[LeadScore]


def decoder(features: type[msgspec.Struct], max_leads: int) -> msgspec.json.Decoder[Any]:
    """Decodes a request's body to a struct with `leads`, each with `lead_id` and `features`."""
    lead = msgspec.defstruct(
        "Lead",
        [
            ("features", features),
            ("lead_id", Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)] | None, None),
        ],
        forbid_unknown_fields=True,
        frozen=True,
    )
    leads = Annotated[list[lead], msgspec.Meta(min_length=1, max_length=max_leads)]  # type: ignore[valid-type]
    return msgspec.json.Decoder(
        msgspec.defstruct("Request", [("leads", leads)], forbid_unknown_fields=True, frozen=True)
    )


TYPES: dict[Kind, Any] = {
    "number": Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER, allow_inf_nan=False)],
    "boolean": bool,
    "category": Annotated[str, Field(max_length=MAX_TEXT)],
}


def request_model(bundle: Bundle, max_leads: int) -> type[BaseModel]:
    """The request's pydantic model. Field names of its own (f0, ...), as a feature's name need not be an identifier."""
    strict = ConfigDict(extra="forbid", strict=True)
    fields: dict[str, Any] = {}
    for i, feature in enumerate(bundle.manifest.lead_schema.features):
        known = bundle.manifest.encoding.categories.get(feature.name)
        examples = [value for value in known.columns if value][:5] if known else None
        about = "May be absent or null: missing." + (
            f" Also missing: {', '.join(map(repr, feature.missing))}." if feature.missing else ""
        )
        fields[f"f{i}"] = (
            TYPES[feature.kind] | None,
            Field(None, alias=feature.name, description=about, examples=examples),
        )
    features = create_model("Features", __config__=strict, **fields)
    lead = create_model(
        "Lead",
        __config__=strict,
        lead_id=(
            Annotated[str, Field(min_length=1, max_length=MAX_ID)] | None,
            Field(None, description="Your id of the lead; one is made up where it is absent."),
        ),
        features=(features, ...),
    )
    leads = Annotated[list[lead], Field(min_length=1, max_length=max_leads)]
    return create_model("ScoreRequest", __config__=strict, leads=(leads, ...))


def refusal(model: type[BaseModel], body: bytes, reason: msgspec.DecodeError) -> Problem:
    """Why this body, which the decoder refused, is refused: all its errors, or the decoder's own."""
    if not isinstance(reason, msgspec.ValidationError):
        return Problem(400, f"the body is not JSON: {reason}")
    try:
        model.model_validate_json(body)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False, include_context=False)
        found = [FieldError(_path(e["loc"]), e["msg"]) for e in errors[:MAX_ERRORS]]
        more = f"; {len(errors) - MAX_ERRORS} more" if len(errors) > MAX_ERRORS else ""
        return Problem(422, f"{len(errors)} field{'s' * (len(errors) > 1)} refused, no lead scored{more}", found)
    return Problem(422, f"refused, no lead scored: {reason}")


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for step in location:
        plain = isinstance(step, str) and step.isidentifier()
        path += f".{step}" if plain else f"[{step!r}]"
    return path.removeprefix(".")
