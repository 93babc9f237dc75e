"""Events of a deploy, and the walk that finds one which waits for what no earlier event makes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DeployEvent:
    """One step: the things it needs, each with what needs it, and the things that exist after it."""

    name: str
    needs: Mapping[str, str] = field(default_factory=dict)
    makes: frozenset[str] = frozenset()
    command: str = ""  # what a person runs; empty: a step of the deploy itself


class DeadlockError(Exception):
    """An event waits for a thing that does not exist when its turn comes."""

    def __init__(self, said: str) -> None:
        super().__init__(f"a first deploy cannot be done in this order: {said}")


def walk(steps: Sequence[DeployEvent], people: Sequence[DeployEvent]) -> list[DeployEvent]:
    """All events in the order in which they happen.

    `steps` happen in their order. A person's event happens where a step first needs what it makes: the deploy stops
    there and names the command. Raises DeadlockError where a need is met by no event before it.
    """
    done: list[DeployEvent] = []
    made: set[str] = set()
    for step in steps:
        for event in _before(step, (), steps, people, made):
            done.append(event)
            made |= event.makes
        done.append(step)
        made |= step.makes
    return done


def _before(
    event: DeployEvent,
    waiting: tuple[str, ...],
    steps: Sequence[DeployEvent],
    people: Sequence[DeployEvent],
    made: set[str],
) -> Iterator[DeployEvent]:
    """The events of people that must happen before `event`, which `waiting` events wait for."""
    for thing, needer in event.needs.items():
        if thing in made:
            continue
        wait = (*waiting, f"{event.name} waits for {thing} ({needer})")
        person = next((each for each in people if thing in each.makes), None)
        if person is None or any(line.startswith(f"{person.name} waits") for line in wait):
            later = [each.name for each in steps if thing in each.makes]
            where = f"{', '.join(later)} makes it, and that comes later" if later else "no step makes it"
            raise DeadlockError("; ".join([*wait, where]))
        for earlier in _before(person, wait, steps, people, made):
            yield earlier
            made |= earlier.makes
        yield person
        made |= person.makes
