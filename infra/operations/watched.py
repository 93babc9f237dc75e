"""`python -m infra.operations.watched ENV`: what the alerts of an environment are computed from, as JSON."""

import argparse
import json

from infra.environments import ENVIRONMENTS
from infra.sizing import DISK_LIMIT_GB

EXAMPLES = """\
examples:
  python -m infra.operations.watched prod     project, traffic, connections and jobs; scripts/alerts check reads it

exit status: 0 done, 2 wrong use"""


def main(arguments: list[str] | None = None) -> int:
    """Print it."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.operations.watched",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("env", metavar="ENV", choices=list(ENVIRONMENTS), help=", ".join(ENVIRONMENTS))
    env = ENVIRONMENTS[parser.parse_args(arguments).env]
    from infra.stacks.lifecycle import scheduled  # starts Node: not before it is needed

    print(
        json.dumps(
            {
                "project": env.project,
                "leads_per_day": env.leads_per_day,
                "leads_per_request": env.leads_per_request,
                "database_connections": env.database_connections,
                "database_disk_bytes": DISK_LIMIT_GB * 10**9,
                "probes": env.probe,
                "jobs": [
                    {"name": job.name, "schedule": job.schedule, "timeout": int(job.timeout.total_seconds())}
                    for job in scheduled(env)
                ],
            }
        )
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
