"""Our stacks, built and synthesized in this process."""

import tempfile
from pathlib import Path

from infra.environment import Environment
from infra.rehearsal.synthesis import Stack, read


def synthesize(env: Environment) -> tuple[Stack, ...]:
    """The stacks of an environment, each after those that it needs."""
    from infra.bindings import App  # starts Node: not before it is needed
    from infra.main import build

    with tempfile.TemporaryDirectory() as folder:
        app = App(outdir=folder)
        build(app, env)
        app.synth()
        return read(Path(folder))
