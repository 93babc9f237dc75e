import json
from datetime import date
from pathlib import Path

import pytest

from service.lifecycle.training.golden import golden
from service.lifecycle.training.onnx_export import to_onnx
from service.model.agreement import Agreement
from service.model.bundle import (
    BundleRefused,
    Manifest,
    check_compatible,
    load,
    move_pointer,
    publish,
    read_pointer,
)
from service.model.schema import Feature, LeadSchema
from service.storage import Conflict, Storage, open_storage
from tests.facts import stating
from tests.service import forge

AGREED = Agreement(metric="profit", metric_reason="money", agreed_by="sales", agreed_on=date(2026, 1, 15))


@pytest.fixture
def models(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path))


def refusal(models: Storage) -> BundleRefused:
    pointed = read_pointer(models)
    assert pointed is not None
    with pytest.raises(BundleRefused) as refused:
        load(models, pointed[0])
    return refused.value


def tamper(tmp_path: Path, version: str, name: str, change: bytes | None) -> None:
    path = tmp_path / "models" / version / name
    path.unlink() if change is None else path.write_bytes(change)


def test_a_published_bundle_loads_and_scores(models: Storage) -> None:
    pointer = forge.release(models)
    bundle = load(models, pointer)
    assert bundle.version == pointer.version
    (score,) = bundle.engine.score(bundle.engine.parse(json.dumps([forge.LEAD]).encode()))
    assert 0 < score < 1


def test_a_bundle_goes_through_a_bucket(gcs_url: str) -> None:
    models = open_storage(gcs_url)
    pointer = forge.release(models)
    assert load(models, pointer).version == pointer.version
    assert read_pointer(models) is not None


def test_what_people_have_agreed_on_goes_through_a_bucket_too(gcs_url: str) -> None:
    models = open_storage(gcs_url)
    pointer = forge.release(models, agreement=AGREED)
    assert load(models, pointer).manifest.agreement == AGREED


def test_a_bucket_takes_and_gives_no_bundle_that_people_have_not_agreed_on(
    gcs_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsigned = AGREED.model_copy(update={"agreed_by": None, "agreed_on": None})
    bucket, folder = open_storage(gcs_url), open_storage(str(tmp_path))
    with pytest.raises(BundleRefused, match=stating("agreed_by, agreed_on", "scripts/check --decide")) as refused:
        forge.release(bucket, agreement=unsigned)
    assert refused.value.reason == "not_agreed"
    assert list(bucket.keys("")) == []
    pointer = forge.release(folder, agreement=unsigned)
    assert load(folder, pointer).manifest.agreement == unsigned
    for key in folder.keys(""):
        copied = folder.read(key)
        assert copied is not None
        bucket.create(key, copied.data)
    assert refusal(bucket).reason == "not_agreed"


def test_a_bundle_older_than_agreements_is_loaded(models: Storage) -> None:
    exported = to_onnx(forge.train()[0])
    old = forge.manifest(exported).model_dump(mode="json", exclude={"agreement"})
    assert Manifest.model_validate_json(json.dumps(old)).agreement is None


def test_a_bundle_older_than_contact_rules_is_loaded_and_decides_by_its_threshold(models: Storage) -> None:
    exported = to_onnx(forge.train()[0])
    later = {"judged_on", "exploration", "contact_rule"}
    old = forge.manifest(exported).model_dump(mode="json", exclude=later)
    read = Manifest.model_validate_json(json.dumps(old))
    assert (read.judged_on, read.exploration, read.contact_rule) == (None, 0, None)
    assert (read.rule.line, read.rule.explores, read.rule.leads) == (read.threshold, False, 0)


def test_a_version_is_written_once(models: Storage) -> None:
    forge.release(models, version="v1")
    with pytest.raises(Conflict):
        forge.release(models, seed=1, version="v1")


def test_without_a_pointer_nothing_is_served(models: Storage) -> None:
    assert read_pointer(models) is None


def test_the_pointer_moves_only_from_where_it_was_read(models: Storage) -> None:
    pointer = forge.release(models)
    pointed = read_pointer(models)
    assert pointed is not None
    move_pointer(models, pointer.model_copy(update={"reason": "first"}), pointed[1])
    with pytest.raises(Conflict):
        move_pointer(models, pointer.model_copy(update={"reason": "second"}), pointed[1])


@pytest.mark.parametrize("name", ["model.onnx", "bundle.json", "golden.json", "MODEL_CARD.md", "reference.json"])
def test_a_file_that_was_changed_is_refused(models: Storage, tmp_path: Path, name: str) -> None:
    pointer = forge.release(models)
    data = (tmp_path / "models" / pointer.version / name).read_bytes()
    tamper(tmp_path, pointer.version, name, data[:-1] + bytes([data[-1] ^ 1]))
    assert refusal(models).reason == "tampered"


@pytest.mark.parametrize("name", ["model.onnx", "SHA256SUMS"])
def test_a_file_that_is_not_there_is_refused(models: Storage, tmp_path: Path, name: str) -> None:
    pointer = forge.release(models)
    tamper(tmp_path, pointer.version, name, None)
    assert refusal(models).reason == "missing"


def test_a_bundle_exchanged_with_its_sums_is_refused(models: Storage, tmp_path: Path) -> None:
    pointer, other = forge.release(models, version="v1"), forge.release(models, seed=5, version="v2")
    for path in (tmp_path / "models" / other.version).iterdir():
        tamper(tmp_path, pointer.version, path.name, path.read_bytes())
    forge.point(models, pointer.version, pointer.sums_sha256)
    assert refusal(models).reason == "tampered"


def test_a_bundle_under_another_versions_name_is_refused(models: Storage, tmp_path: Path) -> None:
    other = forge.release(models, version="v2")
    (tmp_path / "models" / "v2").rename(tmp_path / "models" / "v1")
    forge.point(models, "v1", other.sums_sha256)
    assert refusal(models).reason == "malformed"


def test_a_model_that_scores_wrongly_is_not_published(models: Storage) -> None:
    pipeline, frame = forge.train()
    other, _ = forge.train(seed=9)
    exported = to_onnx(pipeline)
    wrong = golden(other, forge.SCHEMA, frame)
    with pytest.raises(BundleRefused) as refused:
        publish(models, forge.manifest(exported), exported.onnx, wrong, "", forge.reference(pipeline))
    assert refused.value.reason == "wrong_scores"
    assert list(models.keys("")) == []


@pytest.mark.parametrize("way", ["score_matrix", "run_graph"])
def test_golden_rows_are_replayed_at_every_load(models: Storage, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    pointer = forge.release(models)
    # As if the sums were right and the runtime of this machine computed something else.
    monkeypatch.setattr(f"service.model.engine.Engine.{way}", lambda self, matrix: [float("nan")] * len(matrix))
    with pytest.raises(BundleRefused) as refused:
        load(models, pointer)
    assert refused.value.reason == "wrong_scores"


@pytest.mark.parametrize(
    "broken", [{"onnx": b"not a graph"}, {"golden": []}], ids=["a graph that cannot be loaded", "no golden rows"]
)
def test_a_malformed_bundle_is_not_published(models: Storage, broken: dict[str, bytes]) -> None:
    pipeline, frame = forge.train()
    exported = to_onnx(pipeline)
    parts = {"onnx": exported.onnx, "golden": golden(pipeline, forge.SCHEMA, frame), **broken}
    with pytest.raises(BundleRefused) as refused:
        publish(models, forge.manifest(exported), card="", reference=forge.reference(pipeline), **parts)  # type: ignore[arg-type]
    assert refused.value.reason == "malformed"


@pytest.mark.parametrize("text", [b"", b"{}", b'{"version": 1}', b"\xff"])
def test_a_malformed_pointer_is_refused(models: Storage, text: bytes) -> None:
    models.create("champion.json", text)
    with pytest.raises(BundleRefused) as refused:
        read_pointer(models)
    assert refused.value.reason == "malformed"


def test_a_version_cannot_name_another_folder() -> None:
    exported = to_onnx(forge.train()[0])
    with pytest.raises(ValueError, match="version"):
        forge.manifest(exported, version="../elsewhere")


def test_golden_rows_are_no_real_leads() -> None:
    pipeline, frame = forge.train()
    leads = frame.assign(visits=range(len(frame)))  # so that this and the days tell a person
    real = set(leads[["visits", "days.since contact"]].itertuples(index=False, name=None))
    made = {
        (row.features["visits"], row.features["days.since contact"]) for row in golden(pipeline, forge.SCHEMA, leads)
    }
    assert len(made) > 64
    assert not {person for person in made & real if None not in person}


def test_a_schema_that_refuses_callers_is_incompatible(models: Storage) -> None:
    served = load(models, forge.release(models, version="v1"))
    narrower = LeadSchema(features=(*forge.SCHEMA.features[:-1], Feature(name="region", kind="category")))
    check_compatible(load(models, forge.release(models, seed=1, version="v2", schema=narrower)), served)
    renamed = LeadSchema(features=(*forge.SCHEMA.features, Feature(name="extra", kind="number")))
    wider = load(models, forge.release(models, seed=2, version="v3", schema=renamed))
    check_compatible(wider, served)
    with pytest.raises(BundleRefused, match="'extra' is gone") as refused:
        check_compatible(served, wider)
    assert refused.value.reason == "incompatible"


def test_the_manifest_refuses_what_it_does_not_know() -> None:
    manifest = json.loads(forge.manifest(to_onnx(forge.train()[0])).model_dump_json())
    with pytest.raises(ValueError, match="surprise"):
        Manifest.model_validate({**manifest, "surprise": 1})


def test_a_model_of_all_leads_has_a_manifest_that_older_releases_can_read(models: Storage) -> None:
    manifest = load(models, forge.release(models)).manifest
    assert manifest.provenance.sample is None
    assert "sample" not in json.loads(manifest.model_dump_json())["provenance"]
