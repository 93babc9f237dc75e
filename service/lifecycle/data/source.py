"""The lead source: a small TOML file that says where the leads are and what their columns mean.

`service/examples/crm_template.toml` explains every key.
"""

import difflib
import json
import os
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from service.lifecycle.data.sample import Sample
from service.model.agreement import Agreement
from service.model.bundle import Economics
from service.model.schema import Kind
from service.reading.error import SourceError as SourceError

ID_COLUMN = "lead_id"
"""Of files whose source names no column for the id."""

UNCONFIRMED = "#CONFIRM "
"""Before a line of a lead source that a person has to confirm; `scripts/check` writes it."""

Metric = Literal["precision", "recall", "f1", "roc_auc", "accuracy", "profit"]
Direction = Literal["increasing", "decreasing"]
"""How a score may change with a number."""
Text = Annotated[str, Field(min_length=1)]
Marker = Annotated[str | float, Field(union_mode="left_to_right")]
Values = Annotated[
    tuple[str | bool | float, ...],
    Field(min_length=1),
    BeforeValidator(lambda stated: tuple(stated) if isinstance(stated, list | tuple) else (stated,)),
]
"""One value or several."""

MIN_ROWS, MAX_ROWS = 20_000, 50_000_000
"""Leads that a training can be told to sample at most: a quarter of them, the newest, are what models are judged on."""

MATURITY_DAYS = 30
INTERESTING_GAIN = 0.03
"""Unless the source says otherwise."""


class TrainingRecipe(BaseModel):
    """How a model is made of leads, at the first training and at each after it.

    `candidate` "best" is the best by the source's metric on the held-out leads. With `half_life_leads` a lead counts
    half as much as one that is so many leads younger; without it all count alike. Of more than `rows` leads a weighted
    sample of about that size is taken. With `search_seconds` other settings than the usual are tried for so long. A
    score may only rise with the numbers that `monotone` calls increasing, and only fall with those called decreasing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate: Literal["best", "logistic_regression", "spline_regression", "gradient_boosting"] = "best"
    half_life_leads: Annotated[float, Field(ge=100, le=1e9)] | None = None
    rows: Annotated[int, Field(ge=MIN_ROWS, le=MAX_ROWS)] = 1_000_000
    search_seconds: Annotated[float, Field(ge=0, le=86_400)] = 0
    monotone: dict[str, Direction] = {}


class OutcomesFile(BaseModel):
    """A file of outcomes beside the leads. Columns that are not named have the names that they have beside the leads.

    The files below `outcomes/` of the leads bucket have the same columns.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Text
    sheet: Text | None = None
    id_column: Text | None = None
    target_column: Text | None = None
    time_column: Text | None = None
    time_format: Text | None = None


class ContactFiles(BaseModel):
    """The columns of the files below `contacts/` of the leads bucket: who was contacted, when, how and by whom.

    The id's column has the name that it has in files of outcomes unless given. A time is of the contact. A file must
    have the columns of channel and owner that are named; their cells are not read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id_column: Text | None = None
    time_column: Text | None = None
    time_format: Text | None = None
    channel_column: Text | None = None
    owner_column: Text | None = None


class Exploration(BaseModel):
    """Leads below the line that are contacted all the same, so that outcomes tell what the model does not know.

    `share` is the part of the contacts that goes to them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: Annotated[float, Field(ge=0, le=0.5)] = 0.0


class Source(BaseModel):
    """A lead source as written. A source with a `sample` generates its leads.

    An outcome is final `maturity_days` after the lead was scored. With `absent_after_days` a lead of that age without a
    conversion is lost, and a younger one says nothing. With `outcomes_of` "contacted" an outcome says nothing of a lead
    that nobody contacted. `groups` are columns of files below `groups/` of the leads bucket: evaluations go by them, no
    model learns from them. Times in files that name no zone are of the `timezone`. A retraining judges on as many leads
    as show a gain of `interesting_gain`: of the metric itself, or of what contacting exactly those who convert would
    earn where that is profit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    path: Text | None = None
    sample: Sample | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    encoding: Text | None = None
    sheet: Text | None = None
    decimal: Literal[".", ","] | None = None

    id_column: Text | None = None
    time_column: Text | None = None
    time_format: Text | None = None
    timezone: Text = "UTC"
    rows_in_time_order: bool = False
    target_column: Text
    positive: Values
    negative: Values = ()
    absent_after_days: Annotated[float, Field(gt=0, le=3650)] | None = None
    outcomes_of: Literal["all", "contacted"] = "all"
    outcomes: OutcomesFile | None = None
    contacts: ContactFiles = ContactFiles()
    leaks: tuple[Text, ...] = ()
    leave_out: tuple[Text, ...] = ()
    groups: tuple[Text, ...] = ()
    missing: tuple[Marker, ...] = ()
    missing_in: dict[str, tuple[Marker, ...]] = {}
    kinds: dict[str, Kind] = {}
    separators: dict[str, Annotated[str, Field(pattern=r"^[^\w\s]?$")]] = {}

    maturity_days: Annotated[float, Field(ge=0, le=3650)] = Field(
        default_factory=lambda stated: stated.get("absent_after_days") or MATURITY_DAYS
    )
    metric: Metric = "profit"
    metric_reason: Text | None = None
    interesting_gain: Annotated[float, Field(ge=0.01, le=1)] = INTERESTING_GAIN
    agreed_by: Text | None = None
    agreed_on: date | None = None
    economics: Economics
    exploration: Exploration = Exploration()
    recipe: TrainingRecipe = TrainingRecipe()

    _folder: Path = PrivateAttr(default=Path())

    def model_post_init(self, context: Any) -> None:
        """Remember the TOML file's folder, which a relative path starts from."""
        if context is not None:
            self._folder = context["folder"]

    @model_validator(mode="after")
    def _makes_sense(self) -> "Source":
        if problem := next(filter(None, self._problems()), None):
            raise ValueError(problem)
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The zone of times that name none."""
        return ZoneInfo(self.timezone)

    @property
    def lead_id(self) -> str:
        """The column with a lead's id in files that must have one: outcomes, and leads to score."""
        return self.id_column or ID_COLUMN

    @property
    def outcome_id(self) -> str:
        """The column with the lead's id in files of outcomes."""
        return (self.outcomes and self.outcomes.id_column) or self.lead_id

    @property
    def contact_id(self) -> str:
        """The column with the lead's id in files of contacts."""
        return self.contacts.id_column or self.outcome_id

    @property
    def outcome_column(self) -> str:
        """The column with the outcome, in files of outcomes."""
        return (self.outcomes and self.outcomes.target_column) or self.target_column

    def _problems(self) -> list[str | None]:
        roles = {"target_column": self.target_column, "id_column": self.id_column, "time_column": self.time_column}
        named = [(role, column) for role, column in roles.items() if column is not None]
        dropped = {*self.leaks, *self.leave_out, *self.groups}
        bound = self.recipe.monotone
        typed = {*self.missing_in, *self.kinds, *self.separators, *bound}
        parted = {name: self.kinds[name] for name, mark in self.separators.items() if mark and name in self.kinds}
        cost, value = self.economics.contact_cost, self.economics.conversion_value
        return [
            None if (self.path is None) != (self.sample is None) else "path: give either path or [sample]",
            *(f"{role}: {c!r} is also listed under leaks, leave_out or groups" for role, c in named if c in dropped),
            *(f"{role}: {c!r} is no input; take it out of the tables of columns" for role, c in named if c in typed),
            *(f"recipe.monotone: {c!r} is listed under leaks, leave_out or groups" for c in bound if c in dropped),
            *(f"recipe.monotone: {c!r} is a category under kinds" for c in bound if self.kinds.get(c) == "category"),
            *(f"separators: {c!r} is a {kind} under kinds" for c, kind in parted.items() if kind != "category"),
            *(f"{b}: {c!r} is already the {a}" for i, (a, c) in enumerate(named) for b, d in named[i + 1 :] if c == d),
            "time_column: give it or rows_in_time_order, not both"
            if self.time_column and self.rows_in_time_order
            else None,
            "recipe.half_life_leads: needs a time order; give time_column, or say rows_in_time_order = true"
            if self.recipe.half_life_leads and not self.in_time_order
            else None,
            None
            if self.timezone in available_timezones()
            else f"timezone: {self.timezone!r} is none of the IANA names, such as Europe/Berlin",
            "time_format: needs a time_column" if self.time_format and not self.time_column else None,
            *(f"groups: {c!r} is named twice" for c in sorted({*self.groups}) if self.groups.count(c) > 1),
            *(f"groups: {c!r} is the id in files of groups" for c in self.groups if c == self.outcome_id),
            *self._outcome_problems(),
            f"economics.contact_cost: {cost:g} must be less than conversion_value ({value:g}), or no contact pays"
            if cost >= value
            else None,
            "agreed_on: lies in the future" if self.agreed_on and self.agreed_on > date.today() else None,
        ]

    def _outcome_problems(self) -> list[str | None]:
        absent, file = self.absent_after_days, self.outcomes
        return [
            "absent_after_days: needs a time_column, for a lead's age is counted from its time"
            if absent and not self.time_column
            else None,
            f"maturity_days: must be at least absent_after_days ({absent:g}): a younger lead is still open"
            if absent and self.maturity_days < absent
            else None,
            "outcomes: needs an id_column, by which outcomes join the leads" if file and not self.id_column else None,
            "outcomes: needs a path; a [sample] knows its outcomes" if file and self.sample else None,
            "outcomes.time_format: needs outcomes.time_column"
            if file and file.time_format and not file.time_column
            else None,
            "contacts.time_format: needs contacts.time_column"
            if self.contacts.time_format and not self.contacts.time_column
            else None,
            *self._contact_columns(),
        ]

    def _contact_columns(self) -> list[str]:
        named = [
            self.contact_id,
            self.contacts.time_column,
            self.contacts.channel_column,
            self.contacts.owner_column,
        ]
        given = [column for column in named if column is not None]
        return [f"contacts: {c!r} is named for two things" for c in sorted({*given}) if given.count(c) > 1]

    @property
    def agreement(self) -> Agreement | None:
        """What is stated about the metric; None for the sample, whose leads are invented.

        A metric that is not stated is profit, for a first look only.
        """
        if self.sample is not None:
            return None
        stated = self.metric if "metric" in self.model_fields_set else None
        return Agreement(
            metric=stated, metric_reason=self.metric_reason, agreed_by=self.agreed_by, agreed_on=self.agreed_on
        )

    @property
    def in_time_order(self) -> bool:
        """Whether it is known which of two leads came first."""
        return self.rows_in_time_order or self.time_column is not None

    @property
    def location(self) -> str:
        """Where the file with the leads is, `${VAR}` expanded: a local path or gs://bucket/object.

        Raises SourceError naming a variable that is not set.
        """
        if self.path is None:
            raise SourceError(f"source {self.name!r} generates its leads and has no file")
        return self._expanded(self.path)

    @property
    def outcomes_location(self) -> str:
        """Where the file of outcomes beside the leads is. Raises SourceError as `location` does."""
        if self.outcomes is None:
            raise SourceError(f"source {self.name!r} names no file of outcomes")
        return self._expanded(self.outcomes.path)

    @property
    def locations(self) -> list[str]:
        """Where all files of the source are. Raises SourceError as `location` does."""
        leads = [self.location] if self.path is not None else []
        return [*leads, self.outcomes_location] if self.outcomes else leads

    def _expanded(self, path: str) -> str:
        if unset := [v for v in re.findall(r"\$\{(\w+)\}", path) if v not in os.environ]:
            raise SourceError(
                f"source {self.name!r}: path needs the environment variable {unset[0]}, which is not set; "
                f"say: export {unset[0]}=/where/your/file/is"
            )
        path = re.sub(r"\$\{(\w+)\}", lambda v: os.environ[v[1]], path)
        return path if path.startswith("gs://") else str(self._folder / path)


def load_source(toml: Path) -> Source:
    """Read a source's TOML file. Raises SourceError that names the file, the key and the remedy."""
    try:
        written = toml.read_text(encoding="utf-8")
        document = tomllib.loads(written)
    except OSError as error:
        raise SourceError(f"{toml}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{toml}: is not valid TOML: {error}") from error
    if unconfirmed := re.findall(rf"^{UNCONFIRMED}(\w+) *=", written, re.MULTILINE):
        raise SourceError(
            f"{toml}: a person has to confirm {', '.join(unconfirmed)}: correct each of these lines where it is wrong, "
            f"and remove {UNCONFIRMED.strip()} in front of it"
        )
    try:
        # By way of JSON, where strict means what it says (no "12" for 12) and a date is still a date.
        text = json.dumps(document, default=str)
        return Source.model_validate_json(text, strict=True, context={"folder": toml.absolute().parent})
    except ValidationError as error:
        # A default that depends on another key is no error of its own.
        errors = [_explain(dict(e)) for e in error.errors() if e["type"] != "default_factory_not_called"]
        raise SourceError("\n".join(f"{toml}: {problem}" for problem in errors)) from error


def _explain(error: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in error["loc"] if part not in ("str", "float", "bool"))
    match error["type"]:
        case "extra_forbidden":
            *parents, name = error["loc"]
            tables: dict[tuple[object, ...], type[BaseModel]] = {
                (): Source,
                ("contacts",): ContactFiles,
                ("economics",): Economics,
                ("exploration",): Exploration,
                ("outcomes",): OutcomesFile,
                ("recipe",): TrainingRecipe,
                ("sample",): Sample,
            }
            known = tables.get(tuple(parents))
            close = difflib.get_close_matches(str(name), known.model_fields if known else (), n=1)
            hint = f"did you mean {close[0]!r}?" if close else "service/examples/crm_template.toml explains every key"
            return f"{key}: unknown key; {hint}"
        case "missing":
            return f"{key}: missing; service/examples/crm_template.toml explains every key"
        case "value_error":
            return ": ".join(filter(None, [key, str(error["ctx"]["error"])]))
        case _:
            return f"{key}: {error['msg']} (it says {error['input']!r})"
