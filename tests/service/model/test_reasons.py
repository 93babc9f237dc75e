import json
from pathlib import Path

import numpy as np
import pytest

from service.model.bundle import Bundle, load
from service.model.reasons import MOST, Explainer, Reason, typical_lead
from service.model.reference import Categories, Numbers, Reference, ScoreBin
from service.model.schema import Feature, LeadSchema, Value
from service.storage import open_storage
from tests.service import forge

LEAD: dict[str, Value] = {**forge.LEAD, "visits": 14}  # type: ignore[dict-item]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    models = open_storage(str(tmp_path_factory.mktemp("reasons")))
    return load(models, forge.release(models, version="v1"))


def explainer(bundle: Bundle) -> Explainer:
    return Explainer(bundle.engine, bundle.manifest.encoding, bundle.manifest.lead_schema, bundle.reference)


def scores(bundle: Bundle, *leads: dict[str, Value]) -> list[float]:
    return bundle.engine.score(bundle.engine.parse(json.dumps(leads).encode()))


def reasons(bundle: Bundle, *leads: dict[str, Value]) -> list[list[Reason]]:
    parsed = bundle.engine.parse(json.dumps(leads).encode())
    return explainer(bundle).reasons(parsed, bundle.engine.score(parsed))


def test_an_effect_is_the_score_less_that_with_the_typical_value(bundle: Bundle) -> None:
    typical = typical_lead(bundle.manifest.lead_schema, bundle.reference)
    (found,) = reasons(bundle, LEAD)
    assert {each.feature for each in found} <= set(LEAD)
    (score,) = scores(bundle, LEAD)
    for each in found:
        (other,) = scores(bundle, {**LEAD, each.feature: typical[each.feature]})
        assert each.effect == pytest.approx(score - other, abs=1e-9)
        assert each.typical == typical[each.feature]


def test_the_largest_effect_comes_first_whichever_its_direction(bundle: Bundle) -> None:
    for found in reasons(bundle, LEAD, {"visits": 0, "industry": "health"}, {"opted_in": False}):
        sizes = [abs(each.effect) for each in found]
        assert sizes == sorted(sizes, reverse=True)
    (low,) = reasons(bundle, {"visits": 0})
    assert (low[0].feature, low[0].effect < 0) == ("visits", True)


def test_a_typical_lead_has_no_reasons(bundle: Bundle) -> None:
    typical = typical_lead(bundle.manifest.lead_schema, bundle.reference)
    (found,) = reasons(bundle, {name: value for name, value in typical.items() if value is not None})
    assert found == []


def test_many_leads_in_blocks_get_what_each_gets_alone(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    leads: list[dict[str, Value]] = [{"visits": i, "industry": ["retail", "health", "new"][i % 3]} for i in range(25)]
    alone = [reasons(bundle, lead)[0] for lead in leads]
    assert reasons(bundle, *leads) == alone
    monkeypatch.setattr("service.model.reasons.CELLS", 200)
    assert reasons(bundle, *leads) == alone


def test_no_more_features_are_named_than_a_person_reads(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST == 10
    (whole,) = reasons(bundle, LEAD)
    monkeypatch.setattr("service.model.reasons.MOST", 2)
    (two,) = reasons(bundle, LEAD)
    assert two == whole[:2]


def test_typical_is_the_commonest_value_and_the_middle_number() -> None:
    schema = LeadSchema(
        features=(
            Feature(name="age", kind="number"),
            Feature(name="rare", kind="number"),
            Feature(name="yes", kind="boolean"),
            Feature(name="job", kind="category"),
            Feature(name="mostly blank", kind="category"),
            Feature(name="new", kind="category"),
        )
    )
    one = Numbers(name="score", edges=(), means=(0.1,), counts=(9,), missing=0)
    reference = Reference(
        leads=9,
        contacted=1,
        features=(
            Numbers(name="age", edges=(10, 20), means=(5, 15.1234567, 30), counts=(2, 4, 3), missing=0),
            Numbers(name="rare", edges=(10,), means=(5, 15), counts=(2, 2), missing=5),
            Numbers(name="yes", edges=(0.5,), means=(0, 1), counts=(3, 6), missing=0),
            Categories(name="job", values=("a", "b"), counts=(4, 3), others=2, missing=0),
            Categories(name="mostly blank", values=("a", "b"), counts=(3, 1), others=0, missing=5),
        ),
        scores=one,
        calibration=(ScoreBin(score=0.1, leads=9, converted=1),),
    )
    assert typical_lead(schema, reference) == {
        "age": 15.1,
        "rare": None,
        "yes": True,
        "job": "a",
        "mostly blank": None,
        "new": None,
    }


def test_explaining_changes_no_score(bundle: Bundle, tmp_path: Path) -> None:
    parsed = bundle.engine.parse(json.dumps([forge.LEAD]).encode())
    before = bundle.engine.score(parsed)
    explainer(bundle).reasons(parsed, before)
    assert bundle.engine.score(parsed) == before
    assert np.isfinite(before).all()
