"""Whether people have agreed on the metric of a model: required before it is served to others than its maker."""

from datetime import date

from pydantic import BaseModel, ConfigDict

WHAT_TO_DO = "scripts/check --decide SOURCE.toml prints what to discuss, and what to write into the file"


class Agreement(BaseModel):
    """What the lead source states about its metric, key by key; None is a key that it lacks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str | None = None
    metric_reason: str | None = None
    agreed_by: str | None = None
    agreed_on: date | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """The keys that the source lacks."""
        return tuple(key for key, value in self if value is None)

    @property
    def first_look(self) -> str | None:
        """What is said of a model on whose metric nobody has agreed yet, in one line."""
        if not self.missing:
            return None
        return f"not agreed on: for a first look on this machine only; {self._lacks}"

    @property
    def refusal(self) -> str | None:
        """Why this model is not served to others, and what to do."""
        if not self.missing:
            return None
        return f"a model is served to others only when people have agreed on its metric; {self._lacks}"

    @property
    def _lacks(self) -> str:
        return f"the lead source lacks {', '.join(self.missing)}: {WHAT_TO_DO}"
