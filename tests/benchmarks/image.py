"""How large the scoring image is and how soon it scores: `scripts/bench image`.

Both images are built by a Docker engine of its own, from the real Dockerfile, and the scoring one is run as hardened as
in production, on a bundle in a bucket.
"""

import argparse
import os
import sys
from dataclasses import dataclass
from statistics import median

from service.storage import open_storage
from tests.conftest import storage_server
from tests.containers.conftest import ROOT, image
from tests.containers.engine import Unavailable, base_image, running_engine
from tests.containers.scoring import scoring
from tests.service.forge import release

OVER_BASE_MB, SHARE, FIRST_SCORE_S = 330.0, 0.6, 2.5
"""The bars: the scoring image beyond its base, as a part of the jobs' one, and its first score after its start."""
STARTS = 3
EXAMPLES = """\
examples:
  scripts/bench image      builds both images, some minutes the first time; as root, with Docker installed

exit status: 0 done, 1 a bar was missed or no engine runs here, 2 wrong use"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured."""

    over_base_mb: float
    jobs_mb: float
    share: float  # of the jobs image
    first_score_s: float  # median of some starts, by wall clock from the container's start

    def lines(self) -> tuple[tuple[str, bool], ...]:
        """Each figure beside its bar, and whether it keeps it."""
        return (
            (
                f"scoring image over its base: {self.over_base_mb:.0f} MB, at most {OVER_BASE_MB:.0f}",
                self.over_base_mb <= OVER_BASE_MB,
            ),
            (
                f"its part of the jobs image's {self.jobs_mb:.0f} MB: {self.share:.0%}, at most {SHARE:.0%}",
                self.share <= SHARE,
            ),
            (
                f"container start to first score: {self.first_score_s:.2f} s, at most {FIRST_SCORE_S}",
                self.first_score_s <= FIRST_SCORE_S,
            ),
        )


def measure() -> Figures:
    """Build, weigh and start. Raises Unavailable."""
    with running_engine() as engine, storage_server() as gcs:
        base = base_image(engine, ROOT / ".platform/containers")
        names = [image(engine, base, target) for target in ("scoring", "jobs")]
        sizes = engine.run("inspect", "--format", "{{.Size}}", *names, base).split()
        scoring_mb, jobs_mb, base_mb = (int(size) / 1e6 for size in sizes)
        os.environ["STORAGE_EMULATOR_HOST"] = gcs
        models, predictions = (open_storage(f"gs://leads-test/figures/{part}") for part in ("models", "predictions"))
        release(models)
        took = []
        for _ in range(STARTS):
            with scoring(engine, names[0], gcs, models, predictions) as service:
                took.append(service.first_score_s)
    return Figures(scoring_mb - base_mb, jobs_mb, scoring_mb / jobs_mb, median(took))


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench image",
        description="Build the images of service/Dockerfile, weigh them, and see how soon a container scores.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(arguments)
    print("building the scoring and the jobs image", file=sys.stderr, flush=True)
    try:
        lines = measure().lines()
    except Unavailable as reason:
        print(reason, file=sys.stderr)
        return 1
    for said, met in lines:
        print(f"{said}: {'met' if met else 'MISSED'}")
    return 0 if all(met for _, met in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
