import pytest
from pydantic import ValidationError

from service.model.schema import Feature, LeadSchema
from tests.facts import states


def schema(*features: tuple[str, str]) -> LeadSchema:
    return LeadSchema.model_validate({"features": tuple({"name": n, "kind": k} for n, k in features)})


def test_a_schema_survives_json() -> None:
    before = LeadSchema(features=(Feature(name="a.b", kind="number", missing=(999.0,)),))
    assert LeadSchema.model_validate_json(before.model_dump_json()) == before


def test_a_name_stands_once() -> None:
    with pytest.raises(ValidationError, match="named twice: age"):
        schema(("age", "number"), ("age", "category"))


def test_features_are_named_by_kind_in_order() -> None:
    made = schema(("b", "number"), ("c", "category"), ("a", "boolean"))
    assert made.named("number", "boolean") == ["b", "a"]


def test_a_schema_that_takes_all_that_the_served_one_takes_is_compatible() -> None:
    served = schema(("age", "number"), ("job", "category"))
    assert list(schema(("job", "category"), ("age", "number"), ("new", "boolean")).refusals_of(served)) == []


def test_a_schema_that_would_refuse_todays_callers_says_why() -> None:
    served = schema(("age", "number"), ("job", "category"))
    changed, gone = schema(("age", "category")).refusals_of(served)
    states(changed, "'age'", "number", "category")
    states(gone, "'job'", "gone")
