"""Takes secrets out of the JSON of a plan before anything is shown or written."""

from typing import Any

MASK = "(sensitive)"
# Secrets that their provider does not mark: pagerduty/resource_pagerduty_service_integration.go of pagerduty 3.30.8
UNMARKED = ("integration_key",)
Plan = dict[str, Any]  # what `terraform show -json` prints; format_version 1.x

# Terraform puts beside a value what in it is sensitive, in the same shape with `true` for a secret.
# https://developer.hashicorp.com/terraform/internals/json-format#values-representation
_MARKS = {"values": "sensitive_values", "before": "before_sensitive", "after": "after_sensitive"}


def mask(plan: Plan) -> Plan:
    """`plan` with every sensitive value masked, and sensitive variables wherever their text turns up."""
    declared = plan.get("configuration", {}).get("root_module", {}).get("variables", {})
    secrets = [
        str(plan["variables"][name]["value"])
        for name, variable in declared.items()
        if variable.get("sensitive") and name in plan.get("variables", {})
    ]
    secrets += _unmarked(plan)
    return dict(_without(_marked(plan), [secret for secret in secrets if secret]))


def _unmarked(value: Any) -> list[str]:
    """The texts of the attributes in UNMARKED, anywhere."""
    if isinstance(value, list):
        return [text for each in value for text in _unmarked(each)]
    if not isinstance(value, dict):
        return []
    own = [text for name in UNMARKED if isinstance(text := value.get(name), str)]
    return own + [text for each in value.values() for text in _unmarked(each)]


def _marked(value: Any) -> Any:
    if isinstance(value, list):
        return [_marked(element) for element in value]
    if not isinstance(value, dict):
        return value
    if value.get("sensitive") is True and "value" in value:  # an output
        return {**value, "value": MASK}
    result = {key: _marked(inner) for key, inner in value.items()}
    for key, marks in _MARKS.items():
        if key in result and marks in value:
            result[key] = _masked(result[key], value[marks])
    return result


def _masked(value: Any, marks: Any) -> Any:
    if marks is True:
        return None if value is None else MASK
    if isinstance(value, dict) and isinstance(marks, dict):
        return {key: _masked(inner, marks.get(key)) for key, inner in value.items()}
    if isinstance(value, list) and isinstance(marks, list):
        padded = marks + [None] * (len(value) - len(marks))
        return [_masked(inner, mark) for inner, mark in zip(value, padded, strict=True)]
    return value


def _without(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner, secrets) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without(inner, secrets) for inner in value]
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
    return value
