"""Counts a world's records as evaluation does to tell whether all are there: `... .completeness FOLDER`."""

import sys
from pathlib import Path

from service.lifecycle.relations import duck
from service.lifecycle.relations.first_scores import first_scores
from tests.benchmarks.scale.world import World


def main() -> None:
    """Print the number of records by channel."""
    world = World.at(Path(sys.argv[1]))
    with duck.opened(world.place("predictions"), world.since, world.until) as engine:
        engine.define(first_scores(world.since))
        for row in engine.results(["record_counts"])["record_counts"].to_pylist():
            print(row)


if __name__ == "__main__":
    main()
