"""Settings of the scoring service, from environment variables that start with LEADSCORING_."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def _storage(url: str) -> str:
    if not url or ("://" in url and not url.startswith("gs://")) or url == "gs://":
        raise ValueError("give a folder or gs://bucket/prefix")
    return url


def _keys(url: str) -> str:
    if not re.match(r"https://|http://127\.0\.0\.1[:/]", url):
        raise ValueError("give an https:// address")
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
    iap_audience_file: Path | None = None
    """File with the audience of the identity-aware proxy's assertions; with it, only their bearers are let in."""
    iap_keys_url: Annotated[str, AfterValidator(_keys)] = "https://www.gstatic.com/iap/verify/public_key-jwk"
    """Where the proxy's public keys are."""
    allow_anonymous: bool = False
    """Answer whoever reaches the port, on any address: for tests, and where something in front authenticates."""
    max_leads: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Leads in one request; more are refused."""
    max_body_bytes: Annotated[int, Field(ge=1_000, le=100_000_000)] = 4_000_000
    """Size of a request's body; a longer one is refused before it is read to the end."""
    max_connections: Annotated[int, Field(ge=10, le=100_000)] = 2_000
    """Connections at once, at most as many as the process may open files. From three quarters on, those that have
    rested longest are closed."""
    patience_seconds: Seconds = 20.0
    """How long a caller may take to send a request, or to read its answer."""
    grace_seconds: Seconds = 10.0
    """How long requests in flight, then the last upload, may take after SIGTERM, each."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severity that is logged."""

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine reaches the port."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @model_validator(mode="after")
    def _nobody_unknown_from_outside(self) -> Self:
        if not (self.on_loopback or self.iap_audience_file or self.allow_anonymous):
            raise ValueError(
                f"host {self.host} is reached from other machines: set iap_audience_file, or allow_anonymous where "
                "something in front authenticates"
            )
        if self.iap_audience_file and self.allow_anonymous:
            raise ValueError("iap_audience_file and allow_anonymous contradict each other")
        return self
