"""What became of the models: evaluations, drift checks and decisions. The jobs write it, the service's page reads it.

One create-only object an entry, `history/<kind>/<time>-<digest>.json` in the models' storage, named after its time and
content: what is written twice is there once.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, TypeVar

import msgspec

from service.storage import Conflict, Storage

PREFIX = "history/"

Move = Literal["promoted", "rolled_back"]
Trigger = Literal["schedule", "drift", "calibration", "hand"]


class Estimate(msgspec.Struct, frozen=True):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


class BandOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one band's leads."""

    band: str
    leads: int
    converted: int
    contacted: int


class VersionOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One model version on the leads that it scored; no figures where these were too few or too one-sided."""

    version: str
    leads: int
    converted: int
    figures: dict[str, Estimate]


class FoundChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What differed beyond noise on the leads scored in [since, until), as sentences.

    `look` counts the comparisons of one version, each of leads that none before had, from 1 on.
    """

    look: int
    since: datetime
    until: datetime
    changes: tuple[str, ...]


class OutcomeSelection(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the scored leads have an outcome: all alike, or some more than others; `about` says it in a sentence.

    Counted are leads of an age at which outcomes are final. The shares `with_outcome` go by decision, and by tenths of
    the leads by score, the lowest first. `explored` leads were contacted at random and have an outcome.
    """

    leads: int
    with_outcome: int
    explored: int
    with_outcome_by_decision: dict[str, float]
    with_outcome_by_tenth: tuple[float, ...]
    depends_on_decision: bool
    depends_on_score: bool
    about: str


class Weighting(msgspec.Struct, frozen=True, kw_only=True):
    """What figures of all leads rest on where only contacted leads have outcomes.

    `below` is the share of the leads that are below the line; `explored` are those of them that were contacted at
    random and have an outcome. No probability of a contact counts as less than `clip`: `clipped` leads have the weight
    of that. `effective` is Kish's effective sample size. `covered` is the share of the leads below the line that
    explored leads stand for: less than 1 where exploration began within the window. Without `enough` there are no
    figures.
    """

    below: float
    explored: int
    clip: float
    clipped: int
    effective: float
    enough: bool
    covered: float = 1.0


class ExplorationCost(msgspec.Struct, frozen=True, kw_only=True):
    """What exploring cost and brought, of explored leads with an outcome: money in the currency of the economics.

    The intervals are of what as many such leads bring. `next_best` is the profit of as many contacts of the best leads
    that are below the line, by their scores; `lost` is that less `profit`.
    """

    contacts: int
    converted: int
    conversions: Estimate
    revenue: Estimate
    cost: float
    profit: Estimate
    next_best: Estimate
    lost: Estimate


class ContactGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Leads that were contacted; `converted` are of those `with_outcome`."""

    contacted: int
    with_outcome: int
    converted: int


class Contacts(msgspec.Struct, frozen=True, kw_only=True):
    """Who was contacted of `leads` scored ones, of an age at which outcomes are final.

    `groups` go by who chose them: the "line", "exploration", and "sales" without the model's advice. `from_files` says
    that files of contacts tell it, else a decision counts as a contact. `not_reached` leads were chosen and not
    contacted. Of the contacts with an outcome that the model chose are `revenue` and `cost`, and `earned`, what they
    earned more than as many contacts at random; where that is None `no_estimate` says why. `doubt` says why contacts
    may be missing, "" where nothing suggests it and in older entries.
    """

    from_files: bool
    leads: int
    groups: dict[str, ContactGroup]
    not_reached: int
    revenue: float
    cost: float
    earned: Estimate | None
    no_estimate: str
    doubt: str = ""


class GroupOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The scored leads of one value of a group, of an age at which outcomes are final.

    `value` is None where `pooled` values were too small to be shown alone, and "" where no file has one. `mean_score`
    and `conversion` are of the leads with an outcome; they, and the `contact_rate`, are None where these are too few,
    or where outcomes are those of contacted leads and too few were explored to tell the conversion of all.
    """

    group: str
    value: str | None
    pooled: int
    leads: int
    with_outcome: int
    contact_rate: Estimate | None
    conversion: Estimate | None
    mean_score: float | None


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="evaluation"):
    """How the served model did on leads whose outcome is final, scored in [since, until).

    `without_outcome` leads are left out; `taken_as_lost` ones count, for the source says that no outcome is a loss.
    `figures` and `benchmark` go by `service.lifecycle.evaluation.quality.NAMES`; `complete` is None where the service's
    own count of records could not be asked; `changes` are sentences. `business` holds contacts, revenue, cost, profit
    and roi of the decisions, and those of as many contacts at random (`random_...`) and of contacting everyone
    (`all_...`). `versions` are all that were served in the window, newest first. `comparison` is the last one of this
    version; `selection` says of whom the figures hold. `set_aside` counts rows that could not be used, by kind of file;
    `groups` are the lead source's, the largest values first.
    Where only contacted leads have outcomes, `weighting` says what the figures rest on; with too few explored leads
    there are no figures, and `business` is of the contacts alone. `exploration` is None where no lead was explored.
    `contacted_only_since` is when the first of the evaluations in a row, this one the last, was made whose figures hold
    for contacted leads alone; None where this one's hold for all.
    What came later than the first release is None or empty in older entries.
    """

    time: datetime
    since: datetime
    until: datetime
    model_version: str
    leads: int
    without_outcome: int
    complete: bool | None
    missing_records: float
    figures: dict[str, Estimate]
    benchmark: dict[str, float]
    bands: tuple[BandOutcome, ...]
    business: dict[str, float]
    changes: tuple[str, ...]
    mlflow_run_id: str
    versions: tuple[VersionOutcome, ...] = ()
    taken_as_lost: int = 0
    comparison: FoundChanges | None = None
    selection: OutcomeSelection | None = None
    contacts: Contacts | None = None
    weighting: Weighting | None = None
    exploration: ExplorationCost | None = None
    set_aside: dict[str, int] = {}
    groups: tuple[GroupOutcome, ...] = ()
    contacted_only_since: datetime | None = None


class FeatureDrift(msgspec.Struct, frozen=True, kw_only=True):
    """One feature's distance from training (population stability index), and its p-value, corrected for many features.

    `influence` is how far scores move when its values are exchanged for training's, as a share of the mean score. The
    other shares are of the leads; `unseen` counts values that training knew of fewer than five leads, or none. Such
    leads were in training too: `unseen_in_training` is their share there, 0 in entries of older releases.
    """

    feature: str
    distance: float
    p_value: float
    influence: float
    drifted: bool
    missing: float
    missing_in_training: float
    unseen: float
    unseen_in_training: float = 0.0


class DriftCheck(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="drift"):
    """How the leads scored in [since, until) compare with those trained on.

    `scores` and `decisions` are compared like a feature each, on a random sample of `scored_again` of the leads (0 in
    entries of older releases: all of them). `expected` are figures without outcomes of these, with intervals of 90 %;
    `benchmark` holds the same at training.
    """

    time: datetime
    since: datetime
    until: datetime
    model_version: str
    leads: int
    found: bool
    features: tuple[FeatureDrift, ...]
    scores: FeatureDrift
    decisions: FeatureDrift
    expected: dict[str, Estimate]
    benchmark: dict[str, float]
    reasons: tuple[str, ...]
    mlflow_run_id: str
    scored_again: int = 0


class Power(msgspec.Struct, frozen=True, kw_only=True):
    """How small a gain the leads of a window could show, in the metric's own unit (profit: money per 1,000 leads).

    A true gain of `detectable` passes the gate in 80 % of such windows, of which `leads_needed` leads would do for the
    source's least `interesting` one. `error` is the standard error of the gain; `look` counts the comparisons with one
    champion, from 1 on.
    """

    metric: str
    leads: int
    converted: int
    look: int
    error: float
    detectable: float
    interesting: float
    leads_needed: int

    @property
    def enough(self) -> bool:
        """Whether the least interesting gain would have been found."""
        return self.detectable <= self.interesting


class Decision(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="decision"):
    """What was decided, by whom and why. `version` is the model decided on, `before` the one served until then.

    `power` is that of the comparison, None where there was none and in entries of older releases.
    """

    time: datetime
    action: Move | Literal["refused", "kept"]
    trigger: Trigger
    version: str | None
    before: str | None
    author: str
    reason: str
    figures: dict[str, Estimate] = {}
    mlflow_run_id: str | None = None
    power: Power | None = None


Entry = Evaluation | DriftCheck | Decision
FOLDERS: dict[type[Entry], str] = {Evaluation: "evaluations", DriftCheck: "drift", Decision: "decisions"}
_DECODER = msgspec.json.Decoder(Entry)
One = TypeVar("One", Evaluation, DriftCheck, Decision)


def append(models: Storage, entry: Entry) -> str:
    """Write the entry; return its key. Writing the same entry again changes nothing. Raises StorageError."""
    data = msgspec.json.encode(entry)
    digest = hashlib.sha256(data).hexdigest()[:8]
    key = f"{PREFIX}{FOLDERS[type(entry)]}/{_stamp(entry.time)}-{digest}.json"
    with contextlib.suppress(Conflict):  # its name holds a digest of its content
        models.create(key, data)
    return key


def at(models: Storage, kind: type[One], time: datetime) -> One | None:
    """The entry of this kind and very time. Raises StorageError, and msgspec.DecodeError on a broken entry."""
    for key in models.keys(f"{PREFIX}{FOLDERS[kind]}/{_stamp(time)}-"):
        if (stored := models.read(key)) and isinstance(entry := _DECODER.decode(stored.data), kind):
            return entry
    return None


def latest(models: Storage, kind: type[One], count: int = 1) -> list[One]:
    """The newest entries of a kind, oldest first. Raises StorageError, and msgspec.DecodeError on a broken entry."""
    return _read(models, kind, list(models.keys(f"{PREFIX}{FOLDERS[kind]}/"))[-count:])


def between(models: Storage, kind: type[One], since: datetime, until: datetime) -> list[One]:
    """The entries of a kind made in [since, until), oldest first. Raises StorageError, and msgspec.DecodeError."""
    folder = f"{PREFIX}{FOLDERS[kind]}/"
    keys = [key for key in models.keys(folder) if _stamp(since) <= key.removeprefix(folder) < _stamp(until)]
    return _read(models, kind, keys)


def _read(models: Storage, kind: type[One], keys: Sequence[str]) -> list[One]:
    stored = [found for key in keys if (found := models.read(key))]
    return [entry for each in stored if isinstance(entry := _DECODER.decode(each.data), kind)]


def _stamp(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"
