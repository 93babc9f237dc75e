"""What `?explain=true` costs beside a plain scoring of the same leads: `scripts/bench explain`.

Measured is the engine alone, from JSON to scores, without what both forms share (HTTP, records, the answer): of a whole
request the explanation is a smaller part.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec
from rich.console import Console

from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.source import SourceError, load_source
from service.lifecycle.runtime.runner import shown_progress
from service.lifecycle.training import onnx_export
from service.lifecycle.training.candidates import candidates
from service.lifecycle.training.golden import as_received
from service.lifecycle.training.reference_profile import describe
from service.lifecycle.training.selection import fit
from service.model.engine import Engine
from service.model.reasons import Explainer

BAR = 25.0
LEADS = (1, 10, 100)
SAMPLE = Path(__file__).parents[2] / "service/examples/sample.toml"

EXAMPLES = """examples:
  scripts/bench explain                                             the sample's leads; half a minute
  scripts/bench explain --source service/examples/bank_marketing.toml

exit status: 0 done, 1 the bar was missed, 2 wrong use or an unusable lead source
"""


class Cost(NamedTuple):
    """Median microseconds of scoring so many leads, plain and explained."""

    candidate: str
    features: int
    leads: int
    plain: float
    explained: float

    @property
    def ratio(self) -> float:
        """Plain scorings that an explained one costs."""
        return self.explained / self.plain


def costs(
    leads: Leads, rounds: int, trained_on: int = 5_000, tell: Callable[[str], None] = lambda _: None
) -> Iterator[Cost]:
    """Of each candidate, trained on the first leads, with each number of leads a request, in interleaved rounds."""
    frame, target = leads.frame.iloc[:trained_on], leads.target[:trained_on]
    for name, pipeline in candidates(leads.schema, frame).items():
        tell(f"training {name}")
        scores = fit(pipeline, frame, target, frame)
        exported = onnx_export.to_onnx(pipeline)
        engine = Engine(exported.onnx, exported.encoding, leads.schema)
        about = describe(leads.schema, frame, frame, scores, target, 0.5)
        explainer = Explainer(engine, exported.encoding, leads.schema, about)
        for count in LEADS:
            tell(f"measuring {name}, {count} leads a request")
            rows = frame.head(1_000).to_dict("records")
            parts = [rows[i : i + count] for i in range(0, len(rows), count)]
            bodies = [msgspec.json.encode([as_received(leads.schema, row) for row in part]) for part in parts]
            plain, explained = [], []
            for number in range(rounds):
                body = bodies[number % len(bodies)]
                start = time.perf_counter()
                parsed = engine.parse(body)
                found = engine.score(parsed)
                between = time.perf_counter()
                explainer.reasons(parsed, found)
                plain.append(between - start)
                explained.append(time.perf_counter() - start)
            yield Cost(name, len(leads.schema.features), count, 1e6 * median(plain), 1e6 * median(explained))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench explain",
        description="Measure what explained scores cost beside plain ones.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--source", type=Path, default=SAMPLE, metavar="FILE.toml", help="lead source (the sample)")
    parser.add_argument("--rounds", type=int, default=1_000, help="requests of each form (default: %(default)s)")
    parser.add_argument("--bar", type=float, default=BAR, help="plain scorings allowed (default: %(default)s)")
    given = parser.parse_args(arguments)
    if given.rounds < 1 or given.bar <= 0:
        parser.error("--rounds from 1, --bar above 0")
    console, out = Console(stderr=True), Console(highlight=False)
    try:
        with shown_progress(console) as tell:
            found = list(costs(load(load_source(given.source)), given.rounds, tell=tell))
    except SourceError as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 2
    for cost in found:
        out.print(
            f"{cost.candidate}, {cost.features} features, {cost.leads} leads: plain {cost.plain:,.0f} µs, "
            f"explained {cost.explained:,.0f} µs, {cost.ratio:.1f} times",
            soft_wrap=True,
        )
    worst = max(cost.ratio for cost in found)
    met = worst < given.bar
    verdict = f"the bar is {given.bar:g}: {'met' if met else 'MISSED'}"
    out.print(f"an explained scoring costs at most {worst:.1f} plain ones; {verdict}", soft_wrap=True)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
