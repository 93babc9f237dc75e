import threading

import pytest

from infra.rehearsal.parallel import abreast
from infra.rehearsal.synthesis import Stack
from tests.infra.conftest import stack


def reading(name: str, other: str) -> Stack:
    state = {"backend": "gcs", "config": {"bucket": "states", "prefix": other}}
    return stack(name=name, data={"terraform_remote_state": {other: state}})


def test_stacks_that_have_nothing_to_do_with_each_other_are_worked_on_at_once() -> None:
    met = threading.Barrier(2, timeout=30)

    def meet(each: Stack) -> str:
        met.wait()  # passes only when both are here
        return each.name

    assert abreast([stack(name="a"), stack(name="b")], meet) == ["a", "b"]


@pytest.mark.parametrize(
    "stacks",
    [
        [stack(name="a"), stack(name="b", needs=("a",))],
        [stack(name="b", needs=("a",)), stack(name="a")],  # the way back: who needs goes first
        [stack(name="a"), reading("b", "a")],
        [reading("b", "a"), stack(name="a")],
    ],
)
def test_of_two_stacks_that_are_tied_the_given_order_holds(stacks: list[Stack]) -> None:
    done: list[str] = []

    def work(each: Stack) -> str:
        done.append(f"{each.name} begins")
        threading.Event().wait(0.05)  # time for the other to get ahead, if it could
        done.append(f"{each.name} ends")
        return each.name

    first, second = (each.name for each in stacks)
    assert abreast(stacks, work) == [first, second]
    assert done == [f"{first} begins", f"{first} ends", f"{second} begins", f"{second} ends"]


def test_after_an_error_nothing_new_begins() -> None:
    begun: list[str] = []

    def work(each: Stack) -> None:
        begun.append(each.name)
        raise ValueError(each.name)

    with pytest.raises(ValueError, match="a"):
        abreast([stack(name="a"), stack(name="b", needs=("a",))], work)
    assert begun == ["a"]
