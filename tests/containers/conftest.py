"""One engine and one build of each image for all tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.engine import Engine, Unavailable, base_image, running_engine
from tests.service.conftest import mlflow_home, mlflow_url  # noqa: F401 - the jobs record there

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A private Docker engine."""
    try:
        with running_engine() as engine:
            yield engine
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def base(engine: Engine) -> str:
    """The base image, made once on this machine."""
    try:
        return base_image(engine, ROOT / ".platform/containers")
    except Unavailable as reason:
        pytest.skip(str(reason))


def image(engine: Engine, base: str, target: str) -> str:
    """An image of service/Dockerfile, built as a release builds it."""
    arguments = {"BASE_IMAGE": base, "COMMIT": "0123abc", "VERSION": "1.2.3"}
    options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    name = f"lead-scoring/{target}"
    engine.build(ROOT, "--file", ROOT / "service/Dockerfile", "--target", target, "--tag", name, *options)
    return name


@pytest.fixture(scope="session")
def scoring_image(engine: Engine, base: str) -> str:
    """The image that serves."""
    return image(engine, base, "scoring")


@pytest.fixture(scope="session")
def jobs_image(engine: Engine, base: str) -> str:
    """The image that trains."""
    return image(engine, base, "jobs")
