"""The rehearsal: every stack planned, applied, planned again and destroyed, with no cloud behind it."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from infra.rehearsal import catalogue, isolation
from infra.rehearsal.masking import mask
from infra.rehearsal.schema import ProviderSchema
from infra.rehearsal.server import serve
from infra.rehearsal.steps import Planned, StackError, Step, doing, silent
from infra.rehearsal.synthesis import Config, Stack, types
from infra.rehearsal.terraform import Terraform, TerraformError


def rehearse(
    stacks: Sequence[Stack],
    terraform: Terraform,
    *,
    variables: Mapping[str, str] | None = None,
    step: Step = silent,
    notice: Callable[[str], object] = print,
) -> list[Planned]:
    """Rehearse the stacks, given in the order of deployment, and take everything away again.

    `variables` are the stacks' Terraform variables; those not given get a made-up text. Raises StackError.
    """
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as name, serve(_providers(stacks, notice)) as reattach:
        folder = Path(name)
        made_up = {v: f"rehearsed-{v}" for stack in stacks for v in stack.config.get("variable", {})}
        env = isolation.environment(folder, reattach, made_up | dict(variables or {}))
        runs = [_Run(stack, folder, terraform, env, step) for stack in stacks]
        planned = [run.prove() for run in runs]
        for run in reversed(runs):
            run.destroy()
        return planned


def _providers(stacks: Sequence[Stack], notice: Callable[[str], object]) -> Iterator[ProviderSchema]:
    versions = {provider: version for stack in stacks for provider, version in stack.providers.items()}
    for provider in versions.keys() & catalogue.BINDINGS.keys():
        schema = catalogue.load(provider, notice=notice)
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
        with doing(self.stack.name, "init", self.step):
            self._terraform("init")
        with doing(self.stack.name, "validate", self.step):
            self._terraform("validate")
        with doing(self.stack.name, "plan", self.step):
            self._terraform("plan", "-out=plan")
            _, shown = self._terraform("show", "-json", "plan")
        with doing(self.stack.name, "apply", self.step):
            self._terraform("apply", "plan")
        with doing(self.stack.name, "second plan", self.step):
            code, said = self._terraform("plan", "-detailed-exitcode", accept=(0, 2))
            if code == 2:
                raise TerraformError("plan", f"it is not empty:\n{said}")
        return Planned(self.stack.name, mask(json.loads(shown)))

    def destroy(self) -> None:
        """Take everything away and find nothing left."""
        self._write(isolation.unprotected(self.config))
        with doing(self.stack.name, "destroy", self.step):
            self._terraform("destroy", "-auto-approve")
            if left := json.loads(self.state.read_text())["resources"]:
                raise TerraformError("destroy", f"still there: {[resource['type'] for resource in left]}")

    def _write(self, config: Config) -> None:
        (self.folder / "cdk.tf.json").write_text(json.dumps(config))

    def _terraform(self, command: str, *arguments: str, accept: tuple[int, ...] = (0,)) -> tuple[int, str]:
        colour = () if command == "show" else ("-no-color",)
        return self.terraform.run(command, *colour, *arguments, folder=self.folder, env=self.env, accept=accept)
