import pytest
from pydantic import ValidationError

from service.settings import Settings

REQUIRED = {"models_url": "models", "predictions_url": "gs://p/x", "spool_dir": "spool"}


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**REQUIRED, "port": "9000", "spool_fsync": "true"}.items():
        monkeypatch.setenv(f"LEADSCORING_{name.upper()}", value)
    settings = Settings()
    assert (settings.models_url, settings.port, settings.spool_fsync) == ("models", 9000, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("models_url", "s3://bucket"),
        ("predictions_url", "gs://"),
        ("port", 70_000),
        ("poll_seconds", 60),
        ("max_leads", 0),
        ("spool_max_bytes", 0),
        ("log_level", "CHATTY"),
    ],
)
def test_an_unsafe_value_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(**{**REQUIRED, name: value})  # type: ignore[arg-type]
    assert [error["loc"] for error in refused.value.errors()] == [(name,)]


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
