"""A Spark that runs programs one after the other, in place of a batch's machines: `python spark_driver.py [small]`.

A line of the standard input is a JSON list of program and arguments; the answer to each is a line of JSON, null or what
failed. Spark takes seconds to start, so that its session outlives the programs.
"""

import json
import os
import runpy
import sys

from pyspark.sql import SparkSession

SMALL = {
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",  # it plans the rest anew after each shuffle
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
"""For tables of a few thousand rows, where planning and compiling are all that takes time."""


def main() -> None:
    """Answer until the input ends."""
    os.environ["PYSPARK_PYTHON"] = sys.executable  # else workers take whatever python3 is on the PATH
    builder = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "3g")
        .config("spark.sql.shuffle.partitions", "4")
    )
    for setting, value in SMALL.items() if "small" in sys.argv else ():
        builder = builder.config(setting, value)
    spark = builder.getOrCreate()
    stop, answers = SparkSession.stop, sys.stdout
    SparkSession.stop = lambda self: self.catalog.clearCache()
    sys.stdout = sys.stderr  # what a program prints is no answer
    for line in sys.stdin:
        sys.argv = json.loads(line)
        failure = None
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"
        print(json.dumps(failure), file=answers, flush=True)
    stop(spark)


if __name__ == "__main__":
    main()
