"""What an empty project needs before Terraform turns on and makes everything else: APIs, and quotas."""

import math

from infra.environment import Environment

# Asked by `scripts/bootstrap`. An API that is off in a project answers 403.
BOOTSTRAP_APIS = (
    "cloudbilling.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "compute.googleapis.com",
    "storage.googleapis.com",
)
FIRST_APIS = (*BOOTSTRAP_APIS, "serviceusage.googleapis.com")
# Quotas of Compute Engine in a region, and the room that we ask for in each: a choice with some to spare.
ADDRESSES = {"IN_USE_ADDRESSES": 1, "STATIC_ADDRESSES": 1}
CLUSTER_CPUS = 7  # of what runs in the cluster beside the pods that score
# Of a Spark batch of the default size: a driver and two executors of four CPUs, with
# a standard disk of 400 GB each, which is the default that Google's own plugin for JupyterLab shows:
# github.com/GoogleCloudDataproc/dataproc-jupyter-plugin, ui-tests/tests/check_spark_properties.spec.ts
# https://cloud.google.com/dataproc-serverless/quotas says which quotas these count against.
SPARK_CPUS, SPARK_DISKS_GB = 12, 1_200


def quotas(env: Environment) -> dict[str, int]:
    """The room that an environment needs in each quota of Compute Engine, with as many pods as it may have."""
    pods = math.ceil(env.scoring_replicas[1] * env.scoring_millicpus / 1_000)
    needed = {"CPUS": CLUSTER_CPUS + pods, **ADDRESSES}
    if env.record_engine == "spark":
        needed |= {"CPUS": needed["CPUS"] + SPARK_CPUS, "DISKS_TOTAL_GB": SPARK_DISKS_GB}
    return needed
