"""MLflow's spark_udf: read a Parquet file of leads, score it, write Parquet; a job for each line of the standard input.

`python spark.py MODEL LEADS OUT SCHEMA THREADS`, SCHEMA being the kinds of the columns as JSON. A line names the form
of the job, `as it is` or `spread`; the answer is one line of JSON with its rows and seconds.
"""

import json
import os
import sys
import time

import mlflow.pyfunc
from pyspark.sql import SparkSession
from pyspark.sql import functions as f


def main(model: str, leads: str, out: str, schema: str, threads: str) -> None:
    """Answer until the input ends."""
    os.environ["PYSPARK_PYTHON"] = sys.executable  # else the workers take whatever python3 is on the PATH
    spark = (
        SparkSession.builder.master(f"local[{threads}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.legacy.parquet.nanosAsLong", "true")  # pandas writes times so, and Spark would refuse them
        .getOrCreate()
    )
    # As training did: numbers and booleans as float64, a missing category as "".
    inputs = [
        f.coalesce(name, f.lit("")).alias(name) if kind == "category" else f.col(name).cast("double").alias(name)
        for name, kind in json.loads(schema).items()
    ]
    # The leftmost of the two probabilities, of no conversion: an array of both comes back at half the speed.
    udf = mlflow.pyfunc.spark_udf(spark, model, result_type="double", env_manager="local")
    for line in sys.stdin:
        begun = time.perf_counter()
        table = spark.read.parquet(leads)
        if line.strip() == "spread":
            table = table.repartition(int(threads))
        score = (1 - udf(f.struct(*inputs))).alias("score")
        table.select("lead_id", score).write.mode("overwrite").parquet(out)
        seconds = time.perf_counter() - begun
        answer = {"rows": spark.read.parquet(out).count(), "seconds": seconds}
        print(json.dumps(answer), flush=True)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
