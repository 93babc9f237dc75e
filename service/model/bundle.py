"""The model bundle: an immutable folder `models/<version>/`, and the one pointer that says which is served.

Publishing writes the files create-only and the sums last; a bundle without sums is not one. The pointer holds the
digest of the sums, so that a bundle cannot be exchanged under a served version's name, sums and all.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
)

from service.history import Move, Trigger
from service.model.agreement import Agreement
from service.model.contact_rule import ContactRule
from service.model.engine import Encoding, Engine
from service.model.reference import Reference
from service.model.schema import LeadSchema, Value
from service.storage import Conflict, Storage

POINTER, PREFIX = "champion.json", "models/"
TOLERANCE = 1e-5
"""How far a score may be from scikit-learn's, at export and at every load."""
MODEL, MANIFEST, GOLDEN, CARD, REFERENCE, SUMS = (
    "model.onnx",
    "bundle.json",
    "golden.json",
    "MODEL_CARD.md",
    "reference.json",
    "SHA256SUMS",
)

Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Amount = TypeVar("Amount", float, npt.NDArray[np.float64])
Document = TypeVar("Document", bound=BaseModel)
Refusal = Literal["missing", "tampered", "malformed", "wrong_scores", "incompatible", "not_agreed"]


class BundleRefused(Exception):
    """A bundle that must not be served. `reason` is one of a few words, for the metric; the message says more."""

    def __init__(self, reason: Refusal, message: str) -> None:
        super().__init__(message)
        self.reason: Refusal = reason


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Band(_Document):
    """Leads that score at least this much, and less than the band before."""

    name: str
    min_score: Share


class Economics(_Document):
    """What a conversion is worth and a contact costs (one currency), and how many contacts the team can make."""

    conversion_value: Annotated[FiniteFloat, Field(gt=0)]
    contact_cost: Annotated[FiniteFloat, Field(ge=0)]
    contacts_per_1000_leads: Annotated[FiniteFloat, Field(gt=0, le=1000)] = 1000

    @property
    def threshold(self) -> float:
        """The score from which on a contact pays: from there its expected value, score times worth, covers its cost.

        C. Elkan, The Foundations of Cost-Sensitive Learning, IJCAI 2001, eq. 2; it holds for calibrated scores. How
        many contacts the team can make does not move it: the team takes the best of those that pay.
        """
        return min(self.contact_cost / self.conversion_value, 1.0)

    def expected_value(self, score: Amount) -> Amount:
        """What contacting a lead of this score is expected to earn, less what it costs; of one score or of many."""
        return score * self.conversion_value - self.contact_cost


class SampleStratum(_Document):
    """Leads of one outcome that have at least `younger` younger ones, and how many of them were sampled."""

    younger: int
    converted: bool
    leads: int
    sampled: int

    @property
    def share(self) -> float:
        """Of its leads those that were sampled."""
        return self.sampled / self.leads


class TrainingSample(_Document):
    """What a model was trained on where there were more leads: `sampled` of `leads`.

    The newest `whole` are all there, and it is judged on these alone; the older ones are sampled by `strata`, and each
    counts for its stratum's leads over those sampled.
    """

    leads: int
    sampled: int
    seed: int
    whole: int
    strata: tuple[SampleStratum, ...]


class Provenance(_Document):
    """Where the model comes from. `rows` are all leads that there were; `sample` is None where all were learned from.

    It has seen (was trained, chosen or judged on) the first `seen_rows` of the source's own leads, and of those with a
    time none later than `seen_until`. `champion` is the version that it was compared with before it was promoted, and
    `compared` that comparison's figures as value, low and high end of the 95 % interval.
    """

    source: str
    data_sha256: str
    rows: int
    sample: TrainingSample | None = None
    trained_at: datetime
    candidate: str
    git_commit: str | None
    mlflow_run_id: str
    seen_rows: int | None = None
    seen_until: datetime | None = None
    champion: str | None = None
    compared: dict[str, tuple[FiniteFloat, FiniteFloat, FiniteFloat]] = {}

    @model_serializer(mode="wrap")
    def _without_no_sample(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A bundle of all leads is one that older releases can read."""
        document: dict[str, Any] = serialize(self)
        if self.sample is None:
            del document["sample"]
        return document


class Skill(_Document):
    """Whether the model is better than none, from its scores of leads that it had not seen.

    `roc_auc` is over all leads, out of fold, and `roc_auc_at_least` its one-sided 99 % limit; `held_out_roc_auc` is
    value, low and high end of the 95 % interval. Gains are profits per 1,000 leads beyond contacting everyone, and
    beyond as many contacts at random. A model with doubts is published only for a reason that a person gave.
    """

    roc_auc: Share
    roc_auc_at_least: Share
    held_out_roc_auc: tuple[Share, Share, Share]
    gain_over_everyone: FiniteFloat
    gain_over_random: FiniteFloat
    doubts: tuple[str, ...] = ()
    published_because: str | None = None


class LeakFinding(_Document):
    """Columns that may hold what is known only after the outcome, and why, as a sentence.

    `likely` is False for columns that may be honest. `alone` is the ROC-AUC of the column by itself, `before` and
    `after` those of a model with the columns that are left at this point, and of one without these too; None where it
    was not computed.
    """

    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    why: str
    likely: bool
    is_input: bool
    alone: Share | None = None
    before: Share | None = None
    after: Share | None = None


class LeakReport(_Document):
    """What a search for leaks found. `roc_auc` is of a quick model with all inputs, `honest` without likely leaks.

    None where there are too few leads to tell. `lines` say it all, a sentence each.
    """

    findings: tuple[LeakFinding, ...] = ()
    roc_auc: Share | None = None
    honest: Share | None = None
    lines: tuple[str, ...] = ()


class JudgedOn(_Document):
    """The held-out leads that a benchmark rests on, and the standard error of each of its figures.

    `optimism` is by how much a figure is expected to be above that of other leads, since the model was promoted for
    being better on these: below 0 where lower is better.
    """

    leads: Annotated[int, Field(gt=0)]
    converted: Annotated[int, Field(ge=0)]
    errors: dict[str, FiniteFloat]
    optimism: dict[str, FiniteFloat] = {}


class Manifest(_Document):
    """bundle.json. `benchmark` holds the held-out figures of this very model, by name.

    Those of a model that was fitted again after a comparison are figures of what it was at the comparison. `judged_on`
    is None in bundles older than the field.
    `skill` is None for a model that was promoted for being better than the one before, and `leaks` for one that was
    published before there was a search for them. `id_column` names the leads in files, as in the training's.
    `agreement` is None where none is needed (the sample's invented leads) and in bundles older than the field, whose
    sources were refused without. `exploration` is the share of the contacts that explores; `contact_rule` follows from
    it and the held-out scores, None in bundles older than it.
    """

    format: Literal[1] = 1
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    lead_schema: LeadSchema
    id_column: str | None = None
    encoding: Encoding
    threshold: Share
    bands: Annotated[tuple[Band, ...], Field(min_length=1)]
    metric: str
    agreement: Agreement | None = None
    benchmark: dict[str, float]
    judged_on: JudgedOn | None = None
    economics: Economics
    provenance: Provenance
    skill: Skill | None = None
    leaks: LeakReport | None = None
    exploration: Share = 0.0
    contact_rule: ContactRule | None = None

    @property
    def rule(self) -> ContactRule:
        """The bundle's contact rule; of one older than rules, to contact from the threshold on."""
        return self.contact_rule or ContactRule(line=self.threshold)


class Golden(_Document):
    """An invented lead and the score that scikit-learn gave it."""

    features: dict[str, Value]
    score: Share


class Pointer(_Document):
    """champion.json: which version is served, the digest of its sums, and who moved it when and why.

    `new_schema` says that a person accepted a schema that may refuse today's callers. `before` is the version served
    until then. With the bundle it holds all that the decision's audit record says.
    """

    version: str
    sums_sha256: str
    moved_at: datetime
    moved_by: str
    reason: str
    new_schema: bool = False
    action: Move = "promoted"
    trigger: Trigger = "hand"
    before: str | None = None


GOLDEN_ROWS = TypeAdapter(list[Golden])


@dataclass(frozen=True)
class Bundle:
    """A loaded and verified bundle, ready to serve."""

    manifest: Manifest
    engine: Engine
    card: str
    reference: Reference

    @property
    def version(self) -> str:
        """The version that every score names."""
        return self.manifest.version


def new_version(onnx: bytes, now: datetime | None = None) -> str:
    """A version's name: sorts by time, and differs for models made in the same second."""
    return f"{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}-{hashlib.sha256(onnx).hexdigest()[:8]}"


def publish(
    models: Storage, manifest: Manifest, onnx: bytes, golden: list[Golden], card: str, reference: Reference
) -> str:
    """Write the bundle; return the digest of its sums, for the pointer. Nothing is served by this alone.

    Raises Conflict where the version exists, and BundleRefused where its scores are wrong or nobody has agreed on it.
    """
    check_agreed(manifest.agreement, models)
    files = {
        MODEL: onnx,
        MANIFEST: manifest.model_dump_json(indent=1).encode(),
        GOLDEN: GOLDEN_ROWS.dump_json(golden, indent=1),
        CARD: card.encode(),
        REFERENCE: reference.model_dump_json().encode(),
    }
    _verified(files)
    for name, data in files.items():
        models.create(_key(manifest.version, name), data)
    sums = "".join(f"{_digest(data)}  {name}\n" for name, data in files.items()).encode()
    models.create(_key(manifest.version, SUMS), sums)
    return _digest(sums)


def read_pointer(models: Storage) -> tuple[Pointer, str] | None:
    """The pointer and its generation, or None where nothing was ever served. Raises BundleRefused if malformed."""
    stored = models.read(POINTER)
    if stored is None:
        return None
    try:
        return Pointer.model_validate_json(stored.data), stored.generation
    except ValidationError as error:
        raise BundleRefused("malformed", f"{models.url}/{POINTER}: {_first(error)}") from error


def move_pointer(models: Storage, pointer: Pointer, generation: str | None) -> str:
    """Serve another version, unless the pointer was moved since it was read: then Conflict is raised."""
    data = pointer.model_dump_json(indent=1).encode()
    try:
        return models.swap(POINTER, data, generation)
    except Conflict:
        # A client whose answer was lost tries again by itself, and conflicts with its own write.
        stored = models.read(POINTER)
        if stored is None or stored.data != data:
            raise
        return stored.generation


def published_sums(models: Storage, version: str) -> str:
    """The digest of a published bundle's sums, for a pointer. Raises BundleRefused where there is no such bundle."""
    return _digest(_fetch(models, version, SUMS))


def load(models: Storage, pointer: Pointer, threads: int = 1) -> Bundle:
    """Fetch and verify the bundle that the pointer names. Raises BundleRefused, or StorageError if out of reach."""
    sums = _fetch(models, pointer.version, SUMS)
    if _digest(sums) != pointer.sums_sha256:
        raise BundleRefused("tampered", f"{pointer.version}: {SUMS} is not the one that was published")
    expected = dict(reversed(line) for line in re.findall(r"^([0-9a-f]{64})  (\S+)$", sums.decode(), re.M))
    if set(expected) != {MODEL, MANIFEST, GOLDEN, CARD, REFERENCE}:
        raise BundleRefused("malformed", f"{pointer.version}: {SUMS} lists {', '.join(sorted(expected)) or 'nothing'}")
    files = {name: _fetch(models, pointer.version, name) for name in expected}
    for name, digest in expected.items():
        if _digest(files[name]) != digest:
            raise BundleRefused("tampered", f"{pointer.version}: {name} does not have its published sum")
    bundle = _verified(files, threads)
    check_agreed(bundle.manifest.agreement, models)
    if bundle.version != pointer.version:
        raise BundleRefused("malformed", f"{pointer.version}: {MANIFEST} calls itself {bundle.version}")
    return bundle


def read_manifest(models: Storage, version: str) -> Manifest:
    """What bundle.json of a published version says. Raises BundleRefused, or StorageError if out of reach."""
    return _read(models, version, MANIFEST, Manifest)


def read_reference(models: Storage, version: str) -> Reference:
    """What reference.json of a published version says. Raises BundleRefused, or StorageError if out of reach."""
    return _read(models, version, REFERENCE, Reference)


def _read(models: Storage, version: str, name: str, kind: type[Document]) -> Document:
    data, sums = _fetch(models, version, name), _fetch(models, version, SUMS)
    if f"{_digest(data)}  {name}" not in sums.decode().splitlines():
        raise BundleRefused("tampered", f"{version}: {name} does not have its published sum")
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise BundleRefused("malformed", f"{version}: {_first(error)}") from error


def check_compatible(new: Bundle, served: Bundle) -> None:
    """Raise BundleRefused if a lead that is valid for the served model could be refused by the new one."""
    if reasons := list(new.manifest.lead_schema.refusals_of(served.manifest.lead_schema)):
        raise BundleRefused("incompatible", f"{new.version} would refuse today's callers: {'; '.join(reasons)}")


def check_agreed(agreement: Agreement | None, models: Storage, to_others: bool = False) -> None:
    """Raise BundleRefused if the model is served `to_others`, as all in a bucket are, and nobody has agreed on it."""
    if agreement and agreement.refusal and (to_others or models.url.startswith("gs://")):
        raise BundleRefused("not_agreed", f"{models.url}: {agreement.refusal}")


def _verified(files: dict[str, bytes], threads: int = 1) -> Bundle:
    """Parse the files and replay the golden rows through the engine."""
    try:
        manifest = Manifest.model_validate_json(files[MANIFEST])
        golden = GOLDEN_ROWS.validate_json(files[GOLDEN])
        reference = Reference.model_validate_json(files[REFERENCE])
        engine = Engine(files[MODEL], manifest.encoding, manifest.lead_schema, threads)
        matrix = engine.encode(engine.parse(_features_json(golden)))
        scores = [engine.score_matrix(matrix), engine.run_graph(matrix)]  # what serves, and what others would run
    except ValidationError as error:
        raise BundleRefused("malformed", _first(error)) from error
    except Exception as error:  # ONNX Runtime raises types of its own for every kind of broken graph
        raise BundleRefused("malformed", f"the model cannot be run: {error}") from error
    if not golden:
        raise BundleRefused("malformed", f"{manifest.version}: no golden rows to verify by")
    worst = max(_distance(score, row.score) for by in scores for score, row in zip(by, golden, strict=True))
    if worst > TOLERANCE:
        raise BundleRefused("wrong_scores", f"{manifest.version}: a golden row is off by {worst:.2g}")
    return Bundle(manifest, engine, files[CARD].decode(), reference)


def _distance(score: float, expected: float) -> float:
    """Infinite for anything that is no probability: NaN compares false with every tolerance."""
    return abs(score - expected) if 0.0 <= score <= 1.0 else float("inf")


def _features_json(golden: list[Golden]) -> bytes:
    """The golden rows' features as the JSON list that the engine parses."""
    return TypeAdapter(list[dict[str, Any]]).dump_json([row.features for row in golden])


def _fetch(models: Storage, version: str, name: str) -> bytes:
    stored = models.read(_key(version, name))
    if stored is None:
        raise BundleRefused("missing", f"{models.url}/{_key(version, name)} does not exist")
    return stored.data


def _key(version: str, name: str) -> str:
    return f"{PREFIX}{version}/{name}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or error.title}: {first['msg']}"
