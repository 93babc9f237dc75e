"""Spark on this machine, behind the double of Dataproc."""

from collections.abc import Iterator

import pytest

from service.lifecycle.relations.spark_batch import SparkPlace
from tests.service.lifecycle.relations.agreement import local_place


@pytest.fixture(scope="session")
def spark_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkPlace]:
    """A place whose batches run in one Spark of this machine, which all tests share."""
    with local_place(tmp_path_factory.mktemp("spark")) as place:
        yield place
