"""What a larger training sample is worth, and what it costs: `python -m tests.service.lifecycle.training.sample_sizes`.

Of a million generated leads samples of several sizes are drawn as training draws them, and each candidate is fitted on
each. All are judged on the same later leads. The true chances to convert, which the generator knows, are the most that
a model can reach. Takes some 5 minutes of processor time and 4 GB.
"""

import argparse
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.sample import Sample, generate
from service.lifecycle.data.source import load_source
from service.lifecycle.evaluation.labelled import sample, select
from service.lifecycle.training.candidates import candidates
from service.lifecycle.training.selection import fit
from service.lifecycle.training.skill import roc_auc

SOURCE = Path(__file__).parents[4] / "service/examples/sample.toml"
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
JUDGED = 200_000


class Reached(NamedTuple):
    """A candidate, fitted on a sample: ROC-AUC and its standard error, mean score over conversion rate, seconds."""

    rows: int
    candidate: str
    roc_auc: float
    error: float
    calibration: float
    seconds: float


def reached(leads: Leads, judged: Leads, sizes: Sequence[int]) -> Iterator[Reached]:
    """What each candidate reaches on the judged leads with samples of these sizes."""
    for size in sizes:
        part = sample(leads, size).leads
        for name, pipeline in candidates(part.schema, part.frame).items():
            began = time.process_time()
            scores = fit(pipeline, part.frame, part.target, judged.frame, weights=part.weights)
            seconds = time.process_time() - began
            calibration = float(scores.mean() / judged.target.mean())
            yield Reached(len(part.target), name, *roc_auc(judged.target, scores), calibration, seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leads", type=int, default=SIZES[-1], help="to sample from (default: %(default)s)")
    options = parser.parse_args(arguments)
    wanted = Sample(rows=options.leads + JUDGED)
    source = load_source(SOURCE).model_copy(update={"sample": wanted})
    whole = load(source)
    first, last = np.split(np.arange(wanted.rows), [options.leads])
    judged = select(whole, last)
    best, error = roc_auc(judged.target, generate(wanted).score[last])
    print(f"{options.leads:,} leads, judged on {JUDGED:,} later ones; true chances: ROC-AUC {best:.4f} +- {error:.4f}")
    print("rows | candidate | ROC-AUC | standard error | mean score / rate | processor seconds | peak MB")
    for each in reached(select(whole, first), judged, [size for size in SIZES if size <= options.leads]):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"{each.rows:,} | {each.candidate} | {each.roc_auc:.4f} | {each.error:.4f} | {each.calibration:.3f} | "
            f"{each.seconds:.1f} | {peak:,}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
