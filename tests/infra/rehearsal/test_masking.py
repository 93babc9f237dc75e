import json
from typing import Any

import pytest

from infra.rehearsal.masking import MASK, mask


def plan(**parts: Any) -> dict[str, Any]:
    return {"configuration": {"root_module": {}}, **parts}


def test_what_terraform_marks_as_sensitive_is_masked_in_every_form_that_a_value_takes() -> None:
    secret = {"labels": [{"key": "s3cret", "open": "seen"}]}
    marks = {"labels": [{"key": True}]}
    masked = mask(
        plan(
            planned_values={"root_module": {"resources": [{"values": secret, "sensitive_values": marks}]}},
            resource_changes=[
                {"change": {"before": secret, "before_sensitive": marks, "after": secret, "after_sensitive": marks}}
            ],
            prior_state={"values": {"root_module": {"resources": [{"values": secret, "sensitive_values": marks}]}}},
        )
    )
    assert "s3cret" not in json.dumps(masked)
    assert json.dumps(masked).count("seen") == 4
    assert masked["resource_changes"][0]["change"]["after"] == {"labels": [{"key": MASK, "open": "seen"}]}


def test_a_key_that_its_provider_does_not_mark_is_masked_wherever_it_turns_up() -> None:
    made = {"change": {"before": {"integration_key": "r0uting"}, "after": {"integration_key": "r0uting"}}}
    used = {"change": {"before": {"url": "https://events.example/r0uting"}, "after": None}}
    assert "r0uting" not in json.dumps(mask(plan(resource_changes=[made, used])))
    assert mask(plan(resource_changes=[{"change": {"after": {"integration_key": None}}}]))


def test_sensitive_outputs_are_masked() -> None:
    masked = mask(
        plan(
            planned_values={"outputs": {"key": {"sensitive": True, "value": "s3cret"}}},
            output_changes={
                "key": {"after": "s3cret", "after_sensitive": True, "before": None, "before_sensitive": True}
            },
        )
    )
    assert "s3cret" not in json.dumps(masked)
    assert masked["output_changes"]["key"]["before"] is None


def test_a_sensitive_variable_is_masked_wherever_its_text_turns_up() -> None:
    masked = mask(
        {
            "configuration": {"root_module": {"variables": {"key": {"sensitive": True}, "size": {}}}},
            "variables": {"key": {"value": "s3cret"}, "size": {"value": "42"}},
            "resource_changes": [{"change": {"after": {"note": "the key is s3cret.", "size": "42"}}}],
        }
    )
    assert masked["variables"] == {"key": {"value": MASK}, "size": {"value": "42"}}
    assert masked["resource_changes"][0]["change"]["after"] == {"note": f"the key is {MASK}.", "size": "42"}


@pytest.mark.parametrize("marks", [{}, False, [], {"a": False}, {"a": [{}]}])
def test_what_is_not_marked_stays(marks: object) -> None:
    change = {"after": {"a": [{"b": 1}, {"b": 2}]}, "after_sensitive": marks}
    assert mask(plan(resource_changes=[{"change": change}]))["resource_changes"] == [{"change": change}]
