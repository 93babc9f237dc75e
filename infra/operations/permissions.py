"""`python -m infra.operations.permissions ENV`: what each identity needs, what its roles hold, and what is too much.

A rehearsal asks the same: scripts/plan refuses an environment in which a permission is missing.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence

from infra.environment import Environment
from infra.operations import owner
from infra.permissions import tables
from infra.permissions.proof import WIDEST, Proof, prove
from infra.rehearsal.synthesis import Stack
from infra.review import guard
from infra.synthesize import synthesize

EXAMPLES = """\
examples:
  python -m infra.operations.permissions prod     every identity of PROD: its roles, needed and unneeded permissions

exit status: 0 nothing is missing, 1 a permission is, 2 wrong use"""
LIMITS = """\
Not proven: the calls above; permissions on resources that a request only names, such as compute.networks.use; roles
granted by hand beside those of infra/operations/owner.py; an organisation's denials and conditions."""


def compare(env: Environment, stacks: Sequence[Stack]) -> Proof:
    """What each identity needs against what the stacks and the owner grant."""
    return prove(env, stacks, owner.grants(), tables.read())


def findings(proof: Proof) -> list[guard.Finding]:
    """What is missing, for a plan to refuse."""
    return [guard.Finding(gap.name, gap.says) for gap in proof.gaps]


def summary(proof: Proof) -> str:
    """One line of counts."""
    unknown = len({call.method for call in proof.unknown})
    asked = f"{proof.asked} needed by {len(proof.identities)} identities"
    return f"Permissions: {asked}, {len(proof.gaps)} missing; {unknown} methods unknown"


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit status."""
    from infra.environments import ENVIRONMENTS  # not for scripts/plan, which names a wrong value of it

    parser = argparse.ArgumentParser(
        prog="python -m infra.operations.permissions",
        description="Compare the permissions that each identity needs with those that its roles hold.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("env", metavar="ENV", choices=list(ENVIRONMENTS), help=", ".join(ENVIRONMENTS))
    env = ENVIRONMENTS[parser.parse_args(arguments).env]
    proof = compare(env, synthesize(env))
    print(report(proof, tables.read()))
    for gap in proof.gaps:
        print(f"MISSING: {gap.name} {gap.says}", file=sys.stderr)
    return 1 if proof.gaps else 0


def report(proof: Proof, known: tables.Tables) -> str:
    """The comparison as text."""
    rows = [(h.identity, str(len(h.roles)), str(h.held), str(h.needed), str(h.unneeded)) for h in proof.identities]
    lines = [f"Google's roles as of {known.google.date}", ""]
    lines += _table(("identity", "roles", "held", "needed", "never needed"), rows)
    lines += ["", f"The {WIDEST} widest grants:"]
    for held in proof.grants[:WIDEST]:
        key = f"{held.identity} {held.roles[0]}"
        lines += [f"  {key}: needs {held.needed} of {held.held}", f"    {known.justified.get(key, 'NOT JUSTIFIED')}"]
    unknown = sorted({f"{call.method}, for {call.why}" for call in proof.unknown})
    lines += ["", "Calls whose permissions are unknown:", *(f"  {text}" for text in unknown or ["none"])]
    others = sorted({grant.identity for grant in proof.others})
    lines += ["", "Not looked at, accounts of Google's, callers and jobs of CI:", *(f"  {name}" for name in others)]
    return "\n".join([*lines, "", LIMITS, summary(proof)])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns as wide as they must be, numbers to the right."""
    every = [head, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(head))]
    return [
        "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(cells))
        for cells in (list(zip(row, widths, strict=True)) for row in every)
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
