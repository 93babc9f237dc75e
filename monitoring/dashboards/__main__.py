"""Draws every dashboard from a week of simulated data, as the documentation shows them."""

import argparse
import sys
import urllib.error
from pathlib import Path

import numpy as np

from monitoring.dashboards import dashboards, pictures
from monitoring.dashboards.simulated import further
from monitoring.simulation.firing import replay
from monitoring.simulation.world import DAY, EPOCH

SEED, DAYS = 0, 14
FIRST, LAST, EVERY = 3, 10, 10  # days that are drawn, a value every so many minutes
EPILOG = """examples:
  python -m monitoring.dashboards                      all, into monitoring/dashboards/
  python -m monitoring.dashboards --of jobs --to /tmp/pictures
exit status: 0 done, 1 a picture could not be made, 2 wrong use or no prometheus
"""


def main(arguments: list[str] | None = None) -> int:
    """Draw what is asked for."""
    boards = {dashboard.id: dashboard for dashboard in dashboards()}
    parser = argparse.ArgumentParser(
        prog="python -m monitoring.dashboards",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--of", choices=boards, action="append", help="only this dashboard; may be given again")
    parser.add_argument("--to", type=Path, metavar="FOLDER", default=Path(__file__).parent, help="where they go")
    options = parser.parse_args(arguments)
    times = EPOCH + 60 * np.arange(FIRST * DAY, LAST * DAY, EVERY, dtype=np.int64)
    note = f"simulated, {LAST - FIRST} days, seed {SEED}"
    try:
        with replay(SEED, DAYS) as told:
            told.database.write(further(told.days))
            for id in options.of or boards:
                file = options.to / f"{id}.png"
                pictures.draw(boards[id], told.database, times, note, file)
                print(f"{file}: {len(boards[id].panels)} charts, {file.stat().st_size // 1000} kB")
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    except (OSError, ValueError, urllib.error.URLError) as error:
        print(f"no picture: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
