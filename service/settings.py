"""Settings of the scoring service, from environment variables that start with LEADSCORING_."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _storage(url: str) -> str:
    if not url or ("://" in url and not url.startswith("gs://")) or url == "gs://":
        raise ValueError("give a folder or gs://bucket/prefix")
    return url


StorageUrl = Annotated[str, AfterValidator(_storage)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class Settings(BaseSettings):
    """What an instance of the service needs to know. Raises pydantic.ValidationError naming each wrong variable."""

    model_config = SettingsConfigDict(
        env_prefix="LEADSCORING_", frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    models_url: StorageUrl
    """Where `champion.json` and `models/` are: a folder or gs://bucket/prefix."""
    predictions_url: StorageUrl
    """Where the prediction records go."""
    spool_dir: Path
    """A local folder that survives a restart of the process; records wait here until they are uploaded."""
    spool_max_bytes: Annotated[int, Field(ge=1_000_000)] = 256_000_000
    """When this much waits, scoring answers 503: a lead is never scored without a record."""
    spool_fsync: bool = False
    """Put every record on the disk before answering: survives a power cut, at the disk's speed."""
    upload_seconds: Seconds = 5.0
    """How long a record waits at most before its upload starts."""
    poll_seconds: Annotated[float, Field(gt=0, le=10)] = 5.0
    """How often the pointer is read: a swap is noticed within this time."""
    host: str = "127.0.0.1"
    """Address to listen on; in a container 0.0.0.0."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """0 takes a free port and logs it."""
    max_leads: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Leads in one request; more are refused."""
    max_body_bytes: Annotated[int, Field(ge=1_000, le=100_000_000)] = 4_000_000
    """Size of a request's body; a longer one is refused before it is read to the end."""
    grace_seconds: Seconds = 10.0
    """How long requests in flight, then the last upload, may take after SIGTERM, each."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severity that is logged."""
