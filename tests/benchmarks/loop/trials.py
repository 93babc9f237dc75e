"""Trials by seed, as many at a time as there are cores; each is told as it ends."""

import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from tests.benchmarks.loop.limits import Progress

Found = TypeVar("Found")
_FORK = multiprocessing.get_context("fork")
"""A worker begins as a copy of the process: what a test has changed in it holds there too."""
_trial: list[Callable[[int], Any]] = []
"""That of the worker."""


def run_trials(trial: Callable[[int], Found], seeds: Iterable[int], what: str, tell: Progress) -> list[Found]:
    """What the trial found for each seed, in the seeds' order."""
    seeds, workers = list(seeds), len(os.sched_getaffinity(0))
    if len(seeds) == 1:
        tell(what)
        return [trial(seeds[0])]
    found: dict[int, Found] = {}
    with ProcessPoolExecutor(workers, _FORK, initializer=_begin, initargs=(trial,)) as pool:
        running = {pool.submit(_run, seed): seed for seed in seeds}
        for future in as_completed(running):
            found[running[future]] = future.result()
            tell(f"{what}: {len(found)} of {len(seeds)}")
    return [found[seed] for seed in seeds]


def _begin(trial: Callable[[int], Any]) -> None:
    """A forked worker gets the trial itself, which need not be one that can be pickled."""
    threadpool_limits(1)
    _trial[:] = [trial]


def _run(seed: int) -> Any:
    return _trial[0](seed)
