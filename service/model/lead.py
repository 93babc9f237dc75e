"""The lead as a typed value, made from the schema: what the hot route decodes and the engine encodes."""

from typing import Annotated, Any

import msgspec

from service.model.schema import MAX_NUMBER, MAX_TEXT, Kind, LeadSchema

TYPES: dict[Kind, Any] = {
    "number": Annotated[float, msgspec.Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)] | None,
    "boolean": bool | None,
    "category": Annotated[str, msgspec.Meta(max_length=MAX_TEXT)] | None,
}


def features_type(schema: LeadSchema) -> type[msgspec.Struct]:
    """A struct with one field a feature, in the schema's order; an absent or null field is None, missing.

    Its fields are called f0, f1, ... because a feature's name (`emp.var.rate`) need not be an identifier; in
    JSON they carry the features' own names. Encoding leaves missing ones out.
    """
    fields = {f"f{i}": feature for i, feature in enumerate(schema.features)}
    return msgspec.defstruct(
        "Features",
        [(field, TYPES[feature.kind], None) for field, feature in fields.items()],
        rename={field: feature.name for field, feature in fields.items()},
        forbid_unknown_fields=True,
        omit_defaults=True,
        frozen=True,
        gc=False,
    )
