"""The rehearsal: every stack planned, applied, planned again and destroyed, with no cloud behind it."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.rehearsal import catalogue, isolation
from infra.rehearsal.masking import Plan, mask
from infra.rehearsal.schema import ProviderSchema
from infra.rehearsal.server import serve
from infra.rehearsal.synthesis import Config, Stack, types
from infra.rehearsal.terraform import Terraform, TerraformError

Step = Callable[[str, str, float], object]  # stack, what was done, seconds


class StackError(Exception):
    """A stack failed: which, while doing what, and what Terraform said."""

    def __init__(self, stack: str, doing: str, said: str) -> None:
        super().__init__(f"{stack}: {doing} failed\n{said}")
        self.stack, self.doing, self.said = stack, doing, said


@dataclass(frozen=True, slots=True)
class Planned:
    """A stack's plan, secrets masked."""

    stack: str
    plan: Plan


def rehearse(
    stacks: Sequence[Stack],
    terraform: Terraform,
    *,
    variables: Mapping[str, str] | None = None,
    step: Step = lambda _stack, _doing, _seconds: None,
    schemas: Path = catalogue.CACHE,
) -> list[Planned]:
    """Rehearse the stacks, given in the order of deployment, and take everything away again.

    `variables` are the stacks' Terraform variables; those not given get a made-up text. Raises StackError.
    """
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as name, serve(_providers(stacks, schemas)) as reattach:
        folder = Path(name)
        made_up = {v: f"rehearsed-{v}" for stack in stacks for v in stack.config.get("variable", {})}
        env = isolation.environment(folder, reattach, made_up | dict(variables or {}))
        runs = [_Run(stack, folder, terraform, env, step) for stack in stacks]
        planned = [run.prove() for run in runs]
        for run in reversed(runs):
            run.destroy()
        return planned


def _providers(stacks: Sequence[Stack], schemas: Path) -> Iterator[ProviderSchema]:
    versions = {provider: version for stack in stacks for provider, version in stack.providers.items()}
    for provider in versions.keys() & catalogue.BINDINGS.keys():
        schema = catalogue.load(provider, cache=schemas)
        if schema.version != versions[provider]:
            said = f"the stacks ask for {versions[provider]}, the installed bindings are of {schema.version}"
            raise StackError(stacks[0].name, f"standing in for {provider}", said)
        yield catalogue.select(schema, types(stacks, "resource"), types(stacks, "data"))


class _Run:
    """One stack's rehearsal in a folder of its own."""

    def __init__(self, stack: Stack, folder: Path, terraform: Terraform, env: Mapping[str, str], step: Step) -> None:
        self.stack, self.terraform, self.env, self.step = stack, terraform, env, step
        self.config = isolation.local(stack.config, folder)
        self.state = Path(self.config["terraform"]["backend"]["local"]["path"])
        self.folder = folder / stack.name
        self.folder.mkdir()

    def prove(self) -> Planned:
        """Plan, apply, and find nothing left to change."""
        self._write(self.config)
        with self._doing("init"):
            self._terraform("init")
        with self._doing("validate"):
            self._terraform("validate")
        with self._doing("plan"):
            self._terraform("plan", "-out=plan")
            _, shown = self._terraform("show", "-json", "plan")
        with self._doing("apply"):
            self._terraform("apply", "plan")
        with self._doing("second plan"):
            code, said = self._terraform("plan", "-detailed-exitcode", accept=(0, 2))
            if code == 2:
                raise TerraformError("plan", f"it is not empty:\n{said}")
        return Planned(self.stack.name, mask(json.loads(shown)))

    def destroy(self) -> None:
        """Take everything away and find nothing left."""
        self._write(isolation.unprotected(self.config))
        with self._doing("destroy"):
            self._terraform("destroy", "-auto-approve")
            if left := json.loads(self.state.read_text())["resources"]:
                raise TerraformError("destroy", f"still there: {[resource['type'] for resource in left]}")

    def _write(self, config: Config) -> None:
        (self.folder / "cdk.tf.json").write_text(json.dumps(config))

    def _terraform(self, command: str, *arguments: str, accept: tuple[int, ...] = (0,)) -> tuple[int, str]:
        colour = () if command == "show" else ("-no-color",)
        return self.terraform.run(command, *colour, *arguments, folder=self.folder, env=self.env, accept=accept)

    @contextmanager
    def _doing(self, what: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        except TerraformError as error:
            raise StackError(self.stack.name, what, error.said) from error
        self.step(self.stack.name, what, time.monotonic() - start)
