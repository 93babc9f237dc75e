"""Work on several stacks at once, where none of them waits for the other."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from typing import TypeVar

from infra.rehearsal.isolation import place, reads
from infra.rehearsal.synthesis import Stack

# Each Terraform and the stand-ins together keep about one core busy; more at once than cores gain nothing.
AT_ONCE = 2

Result = TypeVar("Result")


def abreast(stacks: Sequence[Stack], work: Callable[[Stack], Result]) -> list[Result]:
    """What `work` returns for each of the stacks, in their order.

    Two of which one needs the other, or reads its state, are worked on in the given order, others side by side.
    The first error stops what has not begun, and is raised.
    """
    sorter: TopologicalSorter[int] = TopologicalSorter()
    for number, stack in enumerate(stacks):
        sorter.add(number, *(n for n in range(number) if _tied(stacks[n], stack)))
    sorter.prepare()
    results: dict[int, Result] = {}
    running: dict[Future[Result], int] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            while sorter.is_active():
                running |= {pool.submit(work, stacks[number]): number for number in sorter.get_ready()}
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    number = running.pop(future)
                    results[number] = future.result()
                    sorter.done(number)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return [results[number] for number in range(len(stacks))]


def _tied(one: Stack, other: Stack) -> bool:
    return _waits(one, other) or _waits(other, one)


def _waits(stack: Stack, before: Stack) -> bool:
    return before.name in stack.needs or place(before.config) in reads(stack.config)
