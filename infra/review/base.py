"""The stacks as another commit has them, synthesized in a folder of their own by the same Python environment."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from infra.rehearsal.synthesis import Stack, read
from monitoring.review.commit import RefError, unpack

ROOT = Path(__file__).parents[2]

# An environment that the other commit does not have yet has no stacks there.
_SYNTHESIZE = """\
import sys
from infra.environments import ENVIRONMENTS
if sys.argv[1] in ENVIRONMENTS:
    from infra.main import main  # takes seconds
    main(sys.argv[1:])
"""


def stacks_at(ref: str, env: str, root: Path = ROOT) -> tuple[Stack, ...]:
    """The stacks of an environment at `ref`, in the order of deployment. Raises RefError."""
    with tempfile.TemporaryDirectory(prefix="base-") as name:
        folder = Path(name)
        tree = folder / "tree"
        unpack(ref, tree, root)
        done = subprocess.run(
            [sys.executable, "-c", _SYNTHESIZE, env],
            cwd=tree,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": name, "CDKTF_OUTDIR": str(folder / "out")},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RefError(f"the stacks of {ref} do not synthesize:\n{done.stderr.strip()}")
        return read(folder / "out") if (folder / "out" / "manifest.json").exists() else ()
