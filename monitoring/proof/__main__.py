"""Proves the whole catalogue with promtool: `python -m monitoring.proof`.

Exit codes: 0 all cases hold, 1 one does not, 2 there is no promtool.
"""

import sys

from monitoring.catalogue import promises
from monitoring.proof import CASES, promtool


def main() -> int:
    """Run every case and say what came out."""
    alerts = promises.AVAILABILITY.alerts()
    try:
        report = promtool.failures(alerts, CASES)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    if report:
        print(report, file=sys.stderr)
        return 1
    print(f"{len(alerts)} alerts behave as {len(CASES)} cases say")
    return 0


if __name__ == "__main__":
    sys.exit(main())
