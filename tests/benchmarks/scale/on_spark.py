"""Runs a job with Spark on this machine, behind the double of Dataproc: `... .on_spark FOLDER RESULT COMMAND...`.

RESULT gets the processor seconds of the job and of Spark, whose start is not among them. Exit status 3: no Spark.
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from service.lifecycle.relations.spark_batch import VARIABLES
from tests.benchmarks.peers import ProgramMissing
from tests.service.dataproc_double import Dataproc
from tests.service.lifecycle.relations.spark_process import local_spark


def main() -> int:
    """Run it."""
    folder, result, command = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    folder.mkdir(parents=True, exist_ok=True)
    place = {
        "parent": "projects/acme/locations/europe-west1",
        "staging": str(folder / "staging"),
        "subnetwork": "spark",
        "service_account": "spark@acme",
    }
    environment = os.environ | {VARIABLES[name]: value for name, value in place.items()}
    try:
        with local_spark.started(folder, small=False) as work:
            double = Dataproc(work)
            begun = work.processor_s()
            environment["LEADSCORING_DATAPROC_EMULATOR"] = double.endpoint
            status = subprocess.run(command, env=environment, check=False).returncode
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            of_spark = work.processor_s() - begun
            double.close()
    except ProgramMissing as error:
        print(error, file=sys.stderr)
        return 3
    result.write_text(json.dumps({"job": used.ru_utime + used.ru_stime, "spark": of_spark}))
    return status


if __name__ == "__main__":
    sys.exit(main())
