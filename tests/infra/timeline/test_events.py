"""The walk over events."""

import pytest

from infra.timeline.events import DeadlockError, DeployEvent, walk


def event(name: str, needs: str = "", makes: str = "", command: str = "") -> DeployEvent:
    return DeployEvent(name, dict.fromkeys(needs.split(), "why"), frozenset(makes.split()), command)


def test_a_person_s_step_comes_where_it_is_needed_first_and_once() -> None:
    steps = [event("one", makes="job"), event("two", "model"), event("three", "model")]
    people = [event("train", "job", "model", "run it"), event("never", "job", "other", "x")]
    assert [each.name for each in walk(steps, people)] == ["one", "train", "two", "three"]


def test_a_person_s_step_may_wait_for_another_person_s() -> None:
    people = [event("set", "value", "variable", "x"), event("add", "secret", "value", "y")]
    done = walk([event("make", makes="secret"), event("use", "variable")], people)
    assert [each.name for each in done] == ["make", "add", "set", "use"]


@pytest.mark.parametrize(
    ("steps", "people", "said"),
    [
        ([event("serve", "api")], [], "serve waits for api .why.; no step makes it"),
        ([event("serve", "api"), event("on", makes="api")], [], "serve waits for api .why.; on makes it, .* later"),
        (
            [event("serve", "model"), event("jobs", makes="job")],
            [event("train", "job", "model", "x")],
            "serve waits for model .why.; train waits for job .why.; jobs makes it, and that comes later",
        ),
        ([event("go", "a")], [event("x", "b", "a", "x"), event("y", "a", "b", "y")], "x waits for b .why.; y waits"),
        ([event("self", "a", "a")], [], "self waits for a"),
    ],
)
def test_a_deadlock_names_who_waits_for_what(steps: list[DeployEvent], people: list[DeployEvent], said: str) -> None:
    with pytest.raises(DeadlockError, match=said):
        walk(steps, people)
