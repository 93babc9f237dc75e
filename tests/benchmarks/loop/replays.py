"""g. The loop beside never, always and ungated retraining, on histories that nothing was tuned on.

The loop is tuned on the bank's contacts from row 15,000 on; judged are the starts at 5,000 and 20,000, the rows
reversed, the halves swapped, and two generated histories: `concept`, in which engagement comes to mean little and small
companies no longer convert for 70 % of the leads from the middle on; and `mix`, in which half of the leads come from
one paid campaign from the middle on, and what a lead with given inputs is worth stays as it is.
"""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from service.lifecycle.backtest.__main__ import recorded
from service.lifecycle.backtest.measures import measure as measured
from service.lifecycle.backtest.strategies import STRATEGIES, follow
from service.lifecycle.backtest.world import build
from service.lifecycle.data.leads import read_raw
from service.lifecycle.data.sample import Drift, Sample
from service.lifecycle.data.source import Source, TrainingRecipe, load_source
from tests.benchmarks.loop.limits import Progress
from tests.benchmarks.loop.trials import run_trials

EXAMPLES = Path(__file__).parents[3] / "service/examples"
LOOP, OTHERS = "closed", ("never", "always", "trigger")
PROFIT, BRIER, SETTINGS = 0.98, 0.005, 5 / 6
"""Of the best profit; Brier above the best; and the share of the histories that must reach that."""
LIMITS: dict[str, tuple[float, float]] = {
    f"histories with {PROFIT:.0%} of the best profit": (SETTINGS - 1e-9, 1.0),
    f"histories with a Brier score at most {BRIER} above the best": (SETTINGS - 1e-9, 1.0),
}


@dataclass(frozen=True)
class History:
    """A source, the row that its first block begins at, and the leads of a block."""

    name: str
    source: Callable[[Path], Source]
    first: int
    block: int = 2_000


@dataclass(frozen=True)
class Result:
    """What the strategies reached: profit and Brier by name."""

    name: str
    profit: Mapping[str, float]
    brier: Mapping[str, float]

    @property
    def of_best(self) -> float:
        """The loop's profit as a share of the best of the others."""
        return self.profit[LOOP] / max(self.profit[other] for other in OTHERS)

    @property
    def above(self) -> float:
        """The loop's Brier score above the best of the others."""
        return self.brier[LOOP] - min(self.brier[other] for other in OTHERS)


def bank(folder: Path, order: Callable[[int], np.ndarray] = np.arange) -> Source:
    """The bank's contacts, in this order of their rows."""
    source = load_source(EXAMPLES / "bank_marketing.toml")
    table = read_raw(source)
    rows = table.cells.take(pa.array(order(len(table.cells))))
    folder.mkdir(parents=True, exist_ok=True)
    parquet.write_table(rows, folder / "bank.parquet")
    # Cells as text, as the file has them.
    return source.model_copy(update={"path": str(folder / "bank.parquet"), "name": "bank"})


def generated(folder: Path, drift: Drift, seed: int, rows: int) -> Source:
    """The sample with this change."""
    source = load_source(EXAMPLES / "sample.toml")
    recipe = TrainingRecipe(candidate="logistic_regression")
    sample = Sample(rows=rows, seed=seed, drift=drift)
    return source.model_copy(update={"sample": sample, "recipe": recipe, "maturity_days": 7})


def reversed_rows(rows: int) -> np.ndarray:
    """The newest row first."""
    return np.arange(rows)[::-1]


def swapped_halves(rows: int) -> np.ndarray:
    """The second half first."""
    return np.roll(np.arange(rows), rows // 2)


CONCEPT = partial(generated, drift=Drift(kind="concept", strength=0.7, start=0.5), seed=31, rows=30_000)
MIX = partial(generated, drift=Drift(kind="source_mix", strength=0.5, start=0.5), seed=32, rows=30_000)
HISTORIES = (
    History("from 5,000", bank, 5_000),
    History("from 20,000", bank, 20_000),
    History("reversed", partial(bank, order=reversed_rows), 15_000),
    History("halves swapped", partial(bank, order=swapped_halves), 15_000),
    History("concept", CONCEPT, 8_000),
    History("mix", MIX, 8_000),
)
QUICK = (History("concept, short", partial(CONCEPT, rows=8_000), 3_000, 1_250),)


def replayed(number: int, histories: tuple[History, ...]) -> Result:
    """All strategies on one history."""
    history = histories[number]
    with tempfile.TemporaryDirectory(prefix="replay-") as name:
        folder = Path(name)
        source = history.source(folder / "rows")
        world = build(source, folder / "source", history.first, history.block)
        uri = recorded(folder / "mlflow", source.name)
        found = {}
        with redirect_stdout(StringIO()):  # where the jobs show what they do
            for strategy in (LOOP, *OTHERS):
                kept = follow(world, STRATEGIES[strategy], folder / strategy, uri, lambda _: None)
                found[strategy] = measured(world, kept).named
    profit, brier = ({each: found[each][figure] for each in found} for figure in ("profit", "brier"))
    return Result(history.name, profit, brier)


def measure(histories: tuple[History, ...] = HISTORIES, tell: Progress = print) -> dict[str, float]:
    """The shares of the histories, after what the strategies reached on each."""
    trial = partial(replayed, histories=histories)
    results = run_trials(trial, range(len(histories)), "replays", tell)
    for result in results:
        tell(f"{result.name}: {result.of_best:.3f} of the best profit, Brier {result.above:+.4f} above the best")
    good = [result.of_best >= PROFIT for result in results], [result.above <= BRIER for result in results]
    return dict(zip(LIMITS, (float(np.mean(each)) for each in good), strict=True))


def limits(quick: bool) -> Mapping[str, tuple[float, float]]:
    """The same for a quick look, which has one history."""
    return LIMITS
