"""The program of a Spark batch: run named queries over Parquet files and write the rows of some of them as Parquet.

It runs on Google's machines, which have PySpark and nothing of this project, so it imports neither. Its argument is the
address of a JSON object: `views` (name, columns, files), `relations` (name, query, kept) in the order in which they can
be made, and `results`, the address of the folder that each result is written to. `kept` is the address of the folder
that the relation's rows are written to, once, and read from, or empty.
"""

import json
import re
import sys
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from pyspark.sql import DataFrame, SparkSession

Made = TypeVar("Made")

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # an overflow or a division by zero fails, where it would give NULL
    "spark.sql.caseSensitive": "true",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
}
"""What the queries' results depend on: Spark's versions differ in their defaults."""


def main(job: str) -> None:
    """Run the job at this address."""
    spark = SparkSession.builder.appName("relations").getOrCreate()
    try:
        for name, value in SETTINGS.items():
            spark.conf.set(name, value)
        spark.udf.register("nfc_normalize", _nfc)
        run(spark, json.loads(spark.read.text(_exact(job), wholetext=True).head()[0]))
    finally:
        spark.stop()


def run(spark: SparkSession, job: dict[str, Any]) -> None:
    """Make all views and relations, then write the results. Raises RuntimeError that names the one that failed."""
    for view in job["views"]:
        _named(view["name"], partial(_files, spark, **view))
    for relation in job["relations"]:
        _named(relation["name"], partial(_rows, spark, **relation))
    for name, address in job["results"].items():
        _step(name, partial(_write, spark, name, address))


def _named(name: str, made: Callable[[], DataFrame]) -> None:
    _step(name, made).createOrReplaceTempView(_quoted(name))


def _rows(spark: SparkSession, name: str, query: str, kept: str) -> DataFrame:  # noqa: ARG001
    """The query's rows, without the columns that stand in for QUALIFY, which Spark does not have."""
    rows = spark.sql(query)
    rows = rows.drop(*(column for column in rows.columns if re.fullmatch(r"_w(_\d+)?", column)))
    if not kept:
        return rows
    # Not persisted: what reads rows from files is planned without what they came from, and a lost machine loses none.
    rows.write.parquet(kept)
    return spark.read.schema(rows.schema).parquet(_exact(kept))


def _write(spark: SparkSession, name: str, address: str) -> None:
    """One file: a repartition leaves the work before it to all machines, which coalesce(1) would not."""
    spark.table(_quoted(name)).repartition(1).write.parquet(address)


def _files(spark: SparkSession, name: str, columns: list[tuple[str, str]], files: list[str]) -> DataFrame:
    """The files' rows. A column that a file does not have is NULL in its rows."""
    if not files:
        empty = ", ".join(f"CAST(NULL AS {kind}) AS {_quoted(column)}" for column, kind in columns)
        return spark.sql(f"SELECT {empty} WHERE 1 = 0")
    schema = ", ".join(f"{_quoted(column)} {kind}" for column, kind in columns)
    rows = spark.read.schema(schema).parquet(*map(_exact, files))
    # Spark leaves out files without saying so, for example those whose names begin with `_`.
    if (read := len(rows.inputFiles())) != len(set(files)):
        raise RuntimeError(f"{read} of {len(set(files))} files of {name} can be read")
    return rows


def _nfc(text: str | None) -> str | None:
    """As DuckDB's function of that name, which Spark lacks."""
    return None if text is None else unicodedata.normalize("NFC", text)


def _step(name: str, work: Callable[[], Made]) -> Made:
    try:
        return work()
    except Exception as error:
        raise RuntimeError(f"relation {name}: {error}") from error


def _exact(path: str) -> str:
    """The path as a pattern that matches itself alone: Hadoop takes every path for a pattern."""
    return "".join(f"\\{c}" if c in "*?[]{}\\" else c for c in path)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


if __name__ == "__main__":
    main(sys.argv[1])
