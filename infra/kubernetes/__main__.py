"""`python -m infra.kubernetes [ENV ...]`: judges the objects that are applied in these environments."""

import argparse
import sys

from infra.environments import ENVIRONMENTS
from infra.kubernetes.objects import VERSIONS
from infra.kubernetes.rules import problems
from infra.releases import image
from infra.stacks.serving import objects

EXAMPLES = """\
examples:
  python -m infra.kubernetes          all environments
  python -m infra.kubernetes prod     one of them

exit status: 0 nothing is wrong, 1 something is, 2 wrong use"""


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.kubernetes",
        description="Judge the Kubernetes objects as they are applied: strictly by the schemas of the versions that a "
        "cluster may run, and by what they say of each other.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("env", metavar="ENV", nargs="*", help=f"{', '.join(ENVIRONMENTS)} (default: all)")
    chosen = parser.parse_args(arguments).env or [*ENVIRONMENTS]
    if unknown := [env for env in chosen if env not in ENVIRONMENTS]:
        parser.error(f"unknown environment {', '.join(unknown)}: choose from {', '.join(ENVIRONMENTS)}")
    failed = False
    for env in map(ENVIRONMENTS.__getitem__, chosen):
        found = objects(env, image=image(env, "scoring"), account=f"scoring@{env.project}.iam.gserviceaccount.com")
        wrong = problems(found.values())
        failed |= bool(wrong)
        print(*(f"FAILED   {env.id}: {problem}" for problem in wrong), sep="\n", end="\n" if wrong else "")
        print(f"{env.id}: {len(found)} objects, Kubernetes {VERSIONS[0]} to {VERSIONS[-1]}: {len(wrong)} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
