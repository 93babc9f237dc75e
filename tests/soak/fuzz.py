"""`scripts/fuzz`: requests that schemathesis makes from the API's description, legal and not, on the real service."""

import argparse
import json
import re
import secrets
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from service import client
from service.local.processes import free
from service.storage import Folder
from tests.soak import versions
from tests.soak.instance import Instance

LEADS = 5
"""Leads a request may have here: more make requests slower to generate, not more varied. And no more than are
explained, a limit that no schema can say."""
EXAMPLES = """examples:
  scripts/fuzz                        20,000 requests, some minutes
  scripts/fuzz --requests 1500        a short one
  scripts/fuzz --seed 7 --json fuzz.json

exit status: 0 done, 1 a check failed, a request ended in a 5xx, or there were too few; 2 wrong use
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    given = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the service ends with it
    console, out = Console(stderr=True), Console(highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        console.print("training a model")
        pointer, _ = versions.publish(Folder(root / "models"), 1)[0]
        versions.serve(Folder(root / "models"), pointer)
        instance = Instance(root, "service", free(), max_leads=LEADS)
        instance.start()
        try:
            address = f"http://127.0.0.1:{instance.port}"
            before = answered(address)  # while it started it was asked whether it is ready, and may have said no
            passed = run(address, given.requests, given.seed, root)
            statuses = answered(address) - before
        finally:
            instance.stop()
    requests, failed = sum(statuses.values()), sum(n for status, n in statuses.items() if status >= 500)
    table = Table("status", "requests", title=f"{requests:,} generated requests, seed {given.seed}")
    for status, count in sorted(statuses.items()):
        table.add_row(str(status), f"{count:,}")
    out.print(table)
    enough = requests >= given.requests
    out.print(f"5xx: {failed}; checks {'passed' if passed else 'FAILED'}; {'enough' if enough else 'TOO FEW'} requests")
    if given.json:
        figures: dict[str, Any] = {"requests": requests, "statuses": statuses, "seed": given.seed, "checks": passed}
        given.json.write_text(json.dumps(figures | {"passed": passed and enough and not failed}, indent=1) + "\n")
    return 0 if passed and enough and not failed else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz",
        description="Requests made from the API's own description, legal and illegal: no 5xx, no answer that is not "
        "described, what is legal is accepted, what is not is refused.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--requests", type=int, default=20_000, help="at least so many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run (default: another one each time)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    given = parser.parse_args(arguments)
    if given.requests < 100:
        parser.error("--requests from 100")
    given.seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    return given


def run(address: str, requests: int, seed: int, folder: Path) -> bool:
    """Let schemathesis send at least so many requests; whether all its checks passed.

    It makes fewer than it is asked for where it finds no more that differ, so it goes on with the next seed.
    """
    program = Path(sys.executable).with_name("schemathesis")
    options = [
        "--phases",
        "examples,coverage,fuzzing",
        "--checks",
        "all",
        "--continue-on-failure",
        "--no-color",
        "--no-shrink",
    ]
    while (missing := requests - sum(answered(address).values())) > 0:
        limits = ["--max-examples", str(min(missing, 2_000)), "--seed", str(seed), "--request-timeout", "60"]
        before = sum(answered(address).values())
        ended = subprocess.run([program, "run", f"{address}/openapi.json", *options, *limits], cwd=folder, check=False)
        if ended.returncode:
            return False
        if sum(answered(address).values()) == before:
            return True  # the caller counts
        seed += 1
    return True


def answered(address: str) -> Counter[int]:
    """How many requests the service has answered with each status, those for its figures and description left out."""
    statuses = Counter[int]()
    for family in text_string_to_metric_families(client.metrics(address)):
        for sample in family.samples:
            if sample.name == "leadscoring_requests_total" and not re.match(
                "/(metrics|openapi)", sample.labels["route"]
            ):
                statuses[int(sample.labels["status"])] += int(sample.value)
    return +statuses


if __name__ == "__main__":
    sys.exit(main())
