"""What an empty project needs before Terraform turns on and makes everything else: APIs, and quotas."""

from infra.environment import Environment

# Asked by `scripts/bootstrap`. An API that is off in a project answers 403.
BOOTSTRAP_APIS = (
    "cloudbilling.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "compute.googleapis.com",
    "storage.googleapis.com",
)
FIRST_APIS = (*BOOTSTRAP_APIS, "serviceusage.googleapis.com")
# Compute Engine's quotas of a region, and the room that we ask for in each: a choice with some to spare.
QUOTAS = {"CPUS": 8, "IN_USE_ADDRESSES": 1, "STATIC_ADDRESSES": 1}
# Of a Spark batch of the default size: a driver and two executors of four CPUs.
# https://cloud.google.com/dataproc-serverless/quotas
SPARK_CPUS = 12


def quotas(env: Environment) -> dict[str, int]:
    """The room that an environment needs in each quota of Compute Engine."""
    return QUOTAS | {"CPUS": QUOTAS["CPUS"] + (SPARK_CPUS if env.record_engine == "spark" else 0)}
