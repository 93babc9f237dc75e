"""The lead schema: which fields a lead has and what each may hold. Frozen at a source's first training."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from service.model.spelling import NumberSpelling

Kind = Literal["number", "boolean", "category"]
Value = float | bool | str | None

MAX_NUMBER = 1e100
"""Largest magnitude of a number; beyond it, sums of weighted numbers could overflow into scores that are none."""

MAX_TEXT, MAX_ID = 1_000, 200
"""Characters of a category's value, and of a lead id; longer ones are refused at the edge."""


class Feature(BaseModel):
    """One input of the model: its name as the caller writes it, its kind, and the values that mean "missing".

    `spelling` is how files write its numbers, None where they are plain. `separator` stands between the choices of a
    category that may hold several; None where a cell is one value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    kind: Kind
    missing: tuple[float | str, ...] = ()
    spelling: NumberSpelling | None = None
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_plain(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A bundle of plain numbers and single values is one that older releases can read."""
        document: dict[str, Any] = serialize(self)
        for name in ("spelling", "separator"):
            if document[name] is None:
                del document[name]
        return document


class LeadSchema(BaseModel):
    """The features of a lead, in the order of the training data. Every field may be absent or null."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    features: Annotated[tuple[Feature, ...], Field(min_length=1, max_length=1_000)]

    @model_validator(mode="after")
    def _names_are_unique(self) -> "LeadSchema":
        names = [f.name for f in self.features]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"features named twice: {', '.join(twice)}")
        return self

    def named(self, *kinds: Kind) -> list[str]:
        """Names of the features of these kinds, in order."""
        return [f.name for f in self.features if f.kind in kinds]

    @property
    def separators(self) -> dict[str, str]:
        """What stands between the choices of the features that may hold several, by name."""
        return {f.name: f.separator for f in self.features if f.separator}

    def refusals_of(self, served: "LeadSchema") -> Iterator[str]:
        """Why a lead that is valid under `served` could be refused under this schema; nothing if it can not.

        New fields are no reason: a caller who does not send them sends a missing value, which is legal.
        """
        mine = {f.name: f.kind for f in self.features}
        for feature in served.features:
            if feature.name not in mine:
                yield f"field {feature.name!r} is gone"
            elif mine[feature.name] != feature.kind:
                yield f"field {feature.name!r} was a {feature.kind} and is a {mine[feature.name]}"
