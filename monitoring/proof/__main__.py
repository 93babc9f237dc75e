"""Proves the whole catalogue with promtool, and that its cases notice when an alert is changed."""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from monitoring import catalogue
from monitoring.alerts import Alert
from monitoring.promql.mutants import Mutant, mutants
from monitoring.proof import promtool
from monitoring.proof.cases import MINUTE, Case
from monitoring.proof.scenarios import cases
from monitoring.simulation.firing import replay

SURVIVORS_ALLOWED = 0.02
EPILOG = """examples:
  python -m monitoring.proof                          every case of every alert
  python -m monitoring.proof --mutants                also every alert changed in every way: the cases must notice
  python -m monitoring.proof --mutants --of SpoolFillsUp
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
    options = parser.parse_args(arguments)
    everything = catalogue.alerts()
    if unknown := set(options.of or ()) - {alert.name for alert in everything}:
        parser.error(f"no alert is called {', '.join(sorted(unknown))}")
    alerts = tuple(alert for alert in everything if not options.of or alert.name in options.of)
    chosen = tuple(
        case for case in cases(everything) if not options.of or {*options.of} & {*case.fires, *case.stays_silent}
    )
    started = time.monotonic()
    try:
        report = promtool.failures(chosen, everything)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    if report:
        print(report, file=sys.stderr)
        return 1
    print(f"{len(alerts)} alerts behave as {len(chosen)} cases say ({time.monotonic() - started:.0f} s)", flush=True)
    return _mutants(alerts, cases(everything)) if options.mutants else 0


def survivors(alerts: tuple[Alert, ...], scenarios: tuple[Case, ...]) -> tuple[list[Mutant], int]:
    """The mutants that no case of their alert notices, and how many there are in all."""
    with ThreadPoolExecutor(promtool.AT_ONCE) as pool:
        left = pool.map(lambda alert: _unnoticed(alert, scenarios), alerts)
    return [mutant for of in left for mutant in of], sum(len(mutants(alert)) for alert in alerts)


def _unnoticed(alert: Alert, scenarios: tuple[Case, ...]) -> tuple[Mutant, ...]:
    """Case by case, first those that fire it, and the shortest: who is noticed need not be looked at again."""
    own = [
        case
        for case in scenarios
        if case.everything or (case.named_only and alert.name in {*case.fires, *case.stays_silent})
    ]
    left = mutants(alert)
    for case in sorted(
        own, key=lambda case: (alert.name not in case.fires, MINUTE * (case.history + case.lasts) / case.step)
    ):
        if left:
            noticed = promtool.noticed([mutant.alert for mutant in left], alert.name, case)
            left = tuple(mutant for mutant in left if mutant.alert.name not in noticed)
    return left


def _mutants(alerts: tuple[Alert, ...], scenarios: tuple[Case, ...]) -> int:
    started = time.monotonic()
    alive, total = survivors(alerts, scenarios)
    for mutant in alive:
        print(f"unnoticed: {mutant.of}: {mutant.change}")
    print(
        f"{total} mutants, {len(alive)} of them unnoticed ({len(alive) / total:.1%}; at most {SURVIVORS_ALLOWED:.0%}; "
        f"{time.monotonic() - started:.0f} s)"
    )
    if len(alive) > SURVIVORS_ALLOWED * total:
        return 1
    if alive and (otherwise := differing(alive, {alert.name: alert for alert in alerts})):
        print(f"in the replay of seed 0 these fire otherwise: {', '.join(mutant.alert.name for mutant in otherwise)}")
        return 1
    print("each of these fires exactly as its alert does in all its cases and in the replay of seed 0")
    return 0


def differing(alive: Sequence[Mutant], alerts: Mapping[str, Alert]) -> list[Mutant]:
    """Those that fire at other minutes than their alerts in the thirty days of seed 0."""
    with replay(0) as days:
        fired = days.firing([alerts[name] for name in {mutant.of for mutant in alive}])
        changed = days.firing([mutant.alert for mutant in alive])
    return [mutant for mutant in alive if changed[mutant.alert.name] != fired[mutant.of]]


if __name__ == "__main__":
    sys.exit(main())
