from pathlib import Path

import pytest

from infra.rehearsal import schema_cache

PAGERDUTY = "registry.terraform.io/pagerduty/pagerduty"


def test_a_schema_is_derived_once_and_says_so(tmp_path: Path) -> None:
    notices: list[str] = []
    first = schema_cache.load(PAGERDUTY, cache=tmp_path, notice=notices.append)
    second = schema_cache.load(PAGERDUTY, cache=tmp_path, notice=notices.append)
    assert first == second
    assert notices == [f"Deriving the schema of {PAGERDUTY} from its bindings (once, some seconds)"]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_provider_without_bindings_has_no_schema(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="hashicorp/random"):
        schema_cache.load("registry.terraform.io/hashicorp/random", cache=tmp_path)


def test_selected_types_know_their_sensitive_arguments() -> None:
    channel = "google_monitoring_notification_channel"
    schema = schema_cache.select(
        schema_cache.load("registry.terraform.io/hashicorp/google"), {channel, "no_such_type"}, ()
    )
    assert schema.resources.keys() == {channel}
    labels = schema.resources[channel]["block_types"]["sensitive_labels"]["block"]["attributes"]
    assert all(label.get("sensitive") for label in labels.values())
    assert not schema.resources[channel]["attributes"]["labels"].get("sensitive")
