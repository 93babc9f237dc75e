"""Request and response types, made from the served model's lead schema.

The same types exist twice, for a reason: msgspec structs decode the hot route at speed but stop at the first error;
the pydantic model describes the API in /docs and, once a request was refused, names every offending field. A test
holds that both accept the same requests.
"""

import itertools
from collections.abc import Sequence
from typing import Annotated, Any, get_args

import msgspec
from annotated_types import MaxLen
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from service.api.problem import FieldError, Problem
from service.model.bundle import Bundle
from service.model.contact_rule import Policy
from service.model.decide import Decision
from service.model.reasons import Reason
from service.model.schema import MAX_ID, MAX_NUMBER, MAX_TEXT, Kind
from service.reading import describe

MAX_ERRORS = 100
"""Offending fields that an answer names; a body can hold a million."""
MAX_NAME = 200
"""Characters of a field's name that an answer shows; no feature's name is longer."""
MAX_REASON = 400
"""Characters of the decoder's own error that an answer shows; it repeats a field's name."""
LEADS = 10
"""Leads whose errors are looked for at once."""

LEAD_ID = (
    "Your id of the lead. Where it is absent one is made up, another in each request. Such a lead is never explored, "
    "for a retry would draw anew."
)


class LeadScore(msgspec.Struct, frozen=True, gc=False):
    """The answer for one lead. Like all that is made for each lead, it holds no cycle, and the collector skips it."""

    lead_id: str
    score: float
    decision: Decision
    band: str
    model_version: str


class ExploringScore(LeadScore, frozen=True, gc=False):
    """The answer for one lead where leads are explored. `policy` says why it is contacted: for its score ("line"), or
    to learn how leads below the line convert ("explore"); `probability` is that of being contacted, of such a lead. It
    is 0 of a lead below the line that was sent without a `lead_id`, and of a trial: neither is explored.

    A type of its own: a field more would cost the others a tenth.
    """

    policy: Policy
    probability: float


class ExplainedScore(LeadScore, frozen=True, omit_defaults=True):
    """The answer for one lead with its reasons, and where leads are explored with what ExploringScore says."""

    reasons: list[Reason]
    policy: Policy | None = None
    probability: float | None = None


class ScoreResponse(msgspec.Struct, frozen=True):
    """The answer to a request: one entry a lead, in the request's order. `line` is the score from which leads are
    contacted for their score."""

    request_id: str
    scores: Sequence[LeadScore]
    line: float


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
        gc=False,
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
        own = ", ".join(map(repr, feature.missing))
        about = (
            f"May be absent or null: missing.{f' Also missing: {own}.' if own else ''} As a raw cell: "
            f"{describe.written(feature)}; missing there: {describe.missing(feature)}."
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
            Field(None, description=LEAD_ID),
        ),
        features=(features, ...),
    )
    leads = Annotated[list[lead], Field(min_length=1, max_length=max_leads)]
    return create_model("ScoreRequest", __config__=strict, leads=(leads, ...))


def refusal(model: type[BaseModel], body: bytes, reason: Exception) -> Problem:
    """Why this body, which the decoder refused, is refused: its errors, or the decoder's own."""
    if not isinstance(reason, msgspec.ValidationError):
        return Problem(400, f"the body is not JSON: {reason}")
    try:
        errors, more, stopped = _errors(model, msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        errors = []  # further on there is no JSON, or none that fits into Python: the decoder's own error says enough
    if not errors:
        return Problem(422, f"refused, no lead scored: {str(reason)[:MAX_REASON]}")
    if stopped:
        return Problem(422, f"more than {MAX_ERRORS} fields refused, no lead scored", errors[:MAX_ERRORS])
    count = len(errors) + more
    title = f"{count} field{'s' * (count > 1)} refused, no lead scored"
    return Problem(422, title + (f"; {count - MAX_ERRORS} more" if count > MAX_ERRORS else ""), errors[:MAX_ERRORS])


def _errors(model: type[BaseModel], document: Any) -> tuple[list[FieldError], int, bool]:
    """Errors by field, how many more there are of unknown fields, and whether the search ended before the last lead.

    A body can hold half a million wrong fields, and pydantic would name each: some leads at a time, until enough are
    named, with no more fields than suffice for that.
    """
    if not isinstance(document, dict):
        return _named(model, document, 0), 0, False
    field = model.model_fields["leads"]
    (most_leads,) = (limit.max_length for limit in field.metadata if isinstance(limit, MaxLen))
    features = get_args(field.annotation)[0].model_fields["features"].annotation
    most = len(features.model_fields) + MAX_ERRORS
    dropped = 0

    def cut(fields: Any) -> Any:
        nonlocal dropped
        if not isinstance(fields, dict) or len(fields) <= most:
            return fields
        dropped += len(fields) - most
        return dict(itertools.islice(fields.items(), most))

    document, leads = cut(document), document.get("leads")
    if not isinstance(leads, list) or not 0 < len(leads) <= most_leads:
        return _named(model, document, 0), dropped, False
    errors: list[FieldError] = []
    for start in range(0, len(leads), LEADS):
        block = [cut(lead) for lead in leads[start : start + LEADS]]
        block = [{**lead, "features": cut(lead.get("features"))} if _has_features(lead) else lead for lead in block]
        errors += _named(model, {**(document if start == 0 else {}), "leads": block}, start)
        if len(errors) + dropped > MAX_ERRORS:
            return errors, dropped, start + LEADS < len(leads)
    return errors, dropped, False


def _has_features(lead: Any) -> bool:
    return isinstance(lead, dict) and "features" in lead


def _named(model: type[BaseModel], document: Any, first_lead: int) -> list[FieldError]:
    try:
        model.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        return [FieldError(_path(e["loc"], first_lead), e["msg"]) for e in found]
    return []


def _path(location: tuple[int | str, ...], first_lead: int) -> str:
    path = ""
    for depth, step in enumerate(location):
        if isinstance(step, int):
            path += f"[{step + first_lead if depth == 1 else step}]"
        else:
            shown = step if len(step) <= MAX_NAME else f"{step[:MAX_NAME]}..."
            path += f".{shown}" if shown.isidentifier() else f"[{shown!r}]"
    return path.removeprefix(".")
