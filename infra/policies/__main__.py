"""`python -m infra.policies ENV`: judges the plans that `scripts/plan ENV` has written."""

import argparse
import sys
from pathlib import Path

from infra.policies.check import Results, check
from infra.policies.plan import PlanError
from infra.policies.scanner import ScannerError
from infra.policies.skips import SkipError

PLANS = Path(__file__).parents[2] / ".platform" / "plans"
EXAMPLES = """\
examples:
  python -m infra.policies prod         the plans of the last rehearsal: scripts/plan prod
  python -m infra.policies prod-real    the plans of the last real plan: scripts/plan prod --real

exit status: 0 all passed, 1 something failed or could not be judged, 2 wrong use"""


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.policies",
        description="Judge the plans of an environment: checkov's checks and ours, less the skips agreed on.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("plans", metavar="ENV[-real]", help="whose plans, as they lie in .platform/plans")
    options = parser.parse_args(arguments)
    folder = PLANS / options.plans
    if not folder.is_dir():
        parser.error(f"there are no plans of {options.plans}: run scripts/plan {options.plans.replace('-', ' --')}")
    try:
        results = check(folder, options.plans.partition("-")[0])
    except (PlanError, ScannerError, SkipError) as error:
        print(f"policies: {error}", file=sys.stderr)
        return 1
    print(report(results))
    return 0 if results.passed else 1


def report(results: Results) -> str:
    """The results in words, for a terminal."""
    lines = [f"FAILED   {f.check} {f.resource}: {f.says}\n         {f.demands}" for f in results.failures]
    lines += [f"FAILED   {where}: no check judges it" for where in results.unjudged]
    lines += [f"FAILED   {s.check} {s.resource}: the skip is needed no more" for s in results.needless]
    lines += [f"skipped  {f.check} {f.resource} until {s.expires}: {s.reason}" for f, s in results.skipped]
    return "\n".join([*lines, summary(results)])


def summary(results: Results) -> str:
    """One line of figures."""
    whose = ", ".join(f"{count} of {whose}" for whose, count in sorted(results.executed.items()))
    failed = len(results.failures) + len(results.unjudged) + len(results.needless)
    ran = f"{results.plans} plans, {results.executed.total()} checks ({whose})"
    return f"{ran}: {failed} failed, {len(results.skipped)} skipped"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
