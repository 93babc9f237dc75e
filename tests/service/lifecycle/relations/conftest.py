"""Spark on this machine, behind the double of Dataproc."""

from collections.abc import Iterator

import pytest

from service.lifecycle.relations.spark_batch import SparkPlace
from tests.service.dataproc_double import Dataproc
from tests.service.lifecycle.relations import agreement


@pytest.fixture(scope="session")
def local_dataproc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SparkPlace, Dataproc]]:
    """A place whose batches run in one Spark of this machine, which all tests share, and its double."""
    with agreement.local_dataproc(tmp_path_factory.mktemp("spark"), small=True) as local:
        yield local


@pytest.fixture(scope="session")
def spark_place(local_dataproc: tuple[SparkPlace, Dataproc]) -> SparkPlace:
    """That place alone."""
    return local_dataproc[0]
