"""Counts a world's records as evaluation does to tell whether all are there: `... .completeness FOLDER`."""

import sys
from pathlib import Path

from service.lifecycle.relations import duck
from service.lifecycle.relations.first_scores import first_scores
from service.storage import open_storage
from tests.benchmarks.scale.places import Places


def main() -> None:
    """Print the number of records by channel."""
    places = Places.at(Path(sys.argv[1]))
    with duck.opened(open_storage(places.url("predictions")), places.since, places.until) as engine:
        engine.define(first_scores(places.since))
        for row in engine.results(["record_counts"])["record_counts"].to_pylist():
            print(row)


if __name__ == "__main__":
    main()
