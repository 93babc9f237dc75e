"""By hand: back to the version that was served before, or to a named one. `python -m service.lifecycle.rollback`."""

import sys
from collections.abc import Sequence

from service.lifecycle.promote import command, run
from service.lifecycle.runtime.runner import check_places

EXAMPLES = """  python -m service.lifecycle.rollback --author ann --reason "too few contacts since Monday" \\
      --models gs://bucket --tracking http://127.0.0.1:5000
  python -m service.lifecycle.rollback 20261123T091502Z-1a2b3c4d --author ann --reason "last good one"
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = command("rollback", "Serve again what was served before; it is verified first.", EXAMPLES)
    parser.add_argument("version", metavar="VERSION", nargs="?", help="default: the one served before today's")
    options = parser.parse_args(arguments)
    check_places(parser, options, "models", "tracking")
    return run(options, "rolled_back", options.version, False)


if __name__ == "__main__":
    sys.exit(main())
