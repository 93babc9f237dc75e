"""Which engine a job runs its relations on: an option of its command line."""

import argparse
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime

from service.lifecycle.relations import duck
from service.lifecycle.relations.relation import RelationEngine
from service.storage import Storage

VARIABLE = "LEADSCORING_RECORD_ENGINE"
ENGINES = ("duckdb", "spark")


def add_engine(parser: argparse.ArgumentParser) -> None:
    """The option --engine."""
    parser.add_argument(
        "--engine",
        type=_engine,
        metavar="|".join(ENGINES),
        default=os.environ.get(VARIABLE) or "duckdb",
        help="what reads the prediction records: DuckDB in this process, or Spark at the place of $LEADSCORING_SPARK_* "
        f"(default: ${VARIABLE}, or duckdb)",
    )


def opened(
    engine: str, predictions: Storage, since: datetime, until: datetime, job: str, tell: Callable[[str], None]
) -> AbstractContextManager[RelationEngine]:
    """This engine over the records of [since, until), for the named job. Raises RelationsFailed, StorageError."""
    if engine == "duckdb":
        return duck.opened(predictions, since, until)
    # Here, for Google's client takes most of a second to load.
    from service.lifecycle.relations import spark

    return spark.opened(predictions, since, until, job, tell)


def _engine(text: str) -> str:
    if text not in ENGINES:
        raise argparse.ArgumentTypeError(f"{text!r} is neither {' nor '.join(ENGINES)}")
    return text
