"""Proves the whole catalogue with promtool, and that its cases notice when an alert is changed."""

import argparse
import sys
import time

from monitoring import catalogue
from monitoring.alerts import Alert
from monitoring.proof import promtool
from monitoring.proof.cases import Case
from monitoring.proof.mutants import Mutant, mutants
from monitoring.proof.stories import cases

SURVIVORS_ALLOWED = 0.02
EPILOG = """examples:
  python -m monitoring.proof                          every case of every alert
  python -m monitoring.proof --mutants                also every alert changed in every way: the cases must notice
  python -m monitoring.proof --mutants --of SpoolHalfFull
exit status: 0 all cases hold, 1 one does not or too many changes went unnoticed, 2 wrong use or no promtool
"""


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for and say what came out."""
    parser = argparse.ArgumentParser(
        prog="python -m monitoring.proof",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mutants", action="store_true", help="change every alert in every way (some minutes)")
    parser.add_argument("--of", metavar="ALERT", action="append", help="only this alert; may be given again")
    given = parser.parse_args(arguments)
    everything = catalogue.alerts()
    if unknown := set(given.of or ()) - {alert.name for alert in everything}:
        parser.error(f"no alert is called {', '.join(sorted(unknown))}")
    alerts = tuple(alert for alert in everything if not given.of or alert.name in given.of)
    told = tuple(case for case in cases(everything) if not given.of or {*given.of} & {*case.fires, *case.spares})
    started = time.monotonic()
    try:
        report = promtool.failures(promtool.Batch(case.watched(everything), [case]) for case in told)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    if report:
        print(report, file=sys.stderr)
        return 1
    print(f"{len(alerts)} alerts behave as {len(told)} cases say ({time.monotonic() - started:.0f} s)")
    return _mutants(alerts, cases(everything)) if given.mutants else 0


def survivors(alerts: tuple[Alert, ...], told: tuple[Case, ...]) -> tuple[list[Mutant], int]:
    """The mutants that no case of their alert notices, and how many there are in all."""
    made = {alert.name: mutants(alert) for alert in alerts}
    report = promtool.failures(
        promtool.Batch([mutant.alert for mutant in of], own)
        for name, of in made.items()
        if (own := [case for case in told if case.everything or name in {*case.fires, *case.spares}])
    )
    noticed = promtool.named(report)
    every = [mutant for of in made.values() for mutant in of]
    return [mutant for mutant in every if mutant.alert.name not in noticed], len(every)


def _mutants(alerts: tuple[Alert, ...], told: tuple[Case, ...]) -> int:
    started = time.monotonic()
    alive, total = survivors(alerts, told)
    for mutant in alive:
        print(f"unnoticed: {mutant.of}: {mutant.change}")
    print(
        f"{total} mutants, {len(alive)} of them unnoticed ({len(alive) / total:.1%}; at most {SURVIVORS_ALLOWED:.0%}); "
        f"each of these fires exactly as its alert does in all its cases ({time.monotonic() - started:.0f} s)"
    )
    return 1 if len(alive) > SURVIVORS_ALLOWED * total else 0


if __name__ == "__main__":
    sys.exit(main())
