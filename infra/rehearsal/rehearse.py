"""The rehearsal: every stack planned, applied, planned again and destroyed, with no cloud behind it."""

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.rehearsal import isolation, protections, schema_cache
from infra.rehearsal.foreign import version
from infra.rehearsal.foreign.folder import copy, override
from infra.rehearsal.masking import mask
from infra.rehearsal.parallel import abreast
from infra.rehearsal.provider import Seen
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
    tfvars: Sequence[Path] = (),
    other_versions: bool = False,
    step: Step = silent,
    notice: Callable[[str], object] = print,
) -> list[Planned]:
    """Rehearse the stacks, given in the order of deployment, take them away, and deploy again what leaves something.

    `variables` are the stacks' Terraform variables, `tfvars` files of them, of which later ones count; those not given
    get a made-up text. `other_versions`: a stack may ask for another version of a provider than the installed bindings
    are of. Raises StackError.
    """
    protects = not any(stack.files for stack in stacks)  # no override file can lift what a file's block sets
    with _stage(
        stacks, terraform, variables, step, notice, protects=protects, tfvars=tfvars, other_versions=other_versions
    ) as run:
        runs = {stack.name: run(stack) for stack in stacks}
        planned = abreast(stacks, lambda stack: runs[stack.name].prove())
        abreast(tuple(reversed(stacks)), lambda stack: runs[stack.name].destroy())
        abreast(stacks, lambda stack: runs[stack.name].come_back())
        return planned


def rehearse_change(
    base: Sequence[Stack],
    head: Sequence[Stack],
    terraform: Terraform,
    *,
    variables: Mapping[str, str] | None = None,
    step: Step = silent,
    notice: Callable[[str], object] = print,
) -> list[Planned]:
    """Deploy `base` to throw-away states, and plan `head` on them; stacks that `head` has not are planned away.

    `prevent_destroy` is lifted for these plans, so that they tell everything that the change would do.
    """
    with _stage((*base, *head), terraform, variables, step, notice, protects=False) as run:
        abreast(base, lambda stack: run(stack).deploy())
        kept = {stack.name for stack in head}
        planned = abreast(head, lambda stack: run(stack).change())
        return planned + abreast([s for s in base if s.name not in kept], lambda stack: run(stack).abandon())


@contextmanager
def _stage(
    stacks: Sequence[Stack],
    terraform: Terraform,
    variables: Mapping[str, str] | None,
    step: Step,
    notice: Callable[[str], object],
    *,
    protects: bool = True,
    tfvars: Sequence[Path] = (),
    other_versions: bool = False,
) -> Iterator[Callable[[Stack], "_Run"]]:
    """Stand-in providers for these stacks, and a folder for their states, as long as it lasts."""
    providers = _providers(stacks, notice, other_versions)
    seen: set[Seen] = set()
    with (
        tempfile.TemporaryDirectory(prefix="rehearsal-") as name,
        serve(providers, protects=protects, seen=seen) as reattach,
    ):
        folder = Path(name)
        declared = {name: v for stack in stacks for name, v in stack.config.get("variable", {}).items()}
        made_up = {name: _made_up(name) for name, variable in declared.items() if "default" not in variable}
        env = isolation.environment(folder, reattach, made_up | dict(variables or {}))

        def run(stack: Stack) -> _Run:
            made = _Run(stack, folder, terraform, env, step)
            if stack.files:
                made = _FilesRun(stack, folder, terraform, env, step, notice)
            for number, file in enumerate(tfvars):  # in this order, and after the configuration's own
                suffix = ".tfvars.json" if file.suffix == ".json" else ".tfvars"
                shutil.copyfile(file, made.folder / f"zz-rehearsal-{number:02}.auto{suffix}")
            return made

        yield run
        types_seen = {type_name for type_name, _, _ in seen}
        notice(f"{len(seen)} values of {len(types_seen)} types were changed as Google changes them after an apply")


def _made_up(variable: str) -> str:
    return f"rehearsed-{variable}"


def _providers(
    stacks: Sequence[Stack], notice: Callable[[str], object], other_versions: bool
) -> Iterator[ProviderSchema]:
    asked = {(provider, wanted) for stack in stacks for provider, wanted in stack.providers.items()}
    for provider in sorted({provider for provider, _ in asked} & schema_cache.BINDINGS.keys()):
        schema = schema_cache.load(provider, notice=notice)
        for wanted in sorted(wanted for name, wanted in asked if name == provider):
            if version.satisfies(schema.version, wanted):
                continue
            said = f"the stacks ask for {wanted}, the installed bindings are of {schema.version}"
            if not other_versions:
                raise StackError(stacks[0].name, f"standing in for {provider}", said)
            notice(f"{provider}: {said}: rehearsed with {schema.version}")
        yield schema_cache.select(schema, types(stacks, "resource"), types(stacks, "data"))


class _Run:
    """One stack's rehearsal in a folder of its own."""

    def __init__(self, stack: Stack, folder: Path, terraform: Terraform, env: Mapping[str, str], step: Step) -> None:
        self.stack, self.terraform, self.env, self.step = stack, terraform, env, step
        self.config = isolation.local(stack.config, folder)
        self.state = Path(self.config["terraform"]["backend"]["local"]["path"])
        self.state.parent.mkdir(exist_ok=True)
        self.folder = folder / stack.name
        self.folder.mkdir(exist_ok=True)

    def prove(self) -> Planned:
        """Plan, apply, and find nothing left to change."""
        self._write(self.config)
        with doing(self.stack.name, "init", self.step):
            self._terraform("init")
        with doing(self.stack.name, "validate", self.step):
            self._terraform("validate")
        plan = self._plan()
        with doing(self.stack.name, "apply", self.step):
            self._terraform("apply", "plan")
        with doing(self.stack.name, "second plan", self.step):
            code, said = self._terraform("plan", "-detailed-exitcode", accept=(0, 2))
            if code == 2:
                raise TerraformError("plan", f"it is not empty:\n{said}")
        return plan

    def destroy(self) -> None:
        """Lift the protections, take everything away, and find nothing left but what is kept."""
        config = isolation.unprotected(self.config)
        with doing(self.stack.name, "destroy", self.step):
            kept = protections.kept(config) & self._deployed()
            for left, command in protections.passes(config, self._deployed()):
                self._write(left)
                self.terraform.run(*command, folder=self.folder, env=self.env)
            if wrong := self._deployed() ^ kept:
                raise TerraformError("destroy", f"still there, or gone: {', '.join(sorted(wrong))}")

    def come_back(self) -> None:
        """Deploy again what a destroy has left something of: the rest begins with nothing, as it did before."""
        if self._deployed():
            self._write(self.config)
            with doing(self.stack.name, "deploy again", self.step):
                self._terraform("apply", "-auto-approve")

    def deploy(self) -> None:
        """Only apply."""
        self._write(self.config)
        with doing(self.stack.name, "deploy base", self.step):
            self._terraform("init")
            self._terraform("apply", "-auto-approve")

    def change(self) -> Planned:
        """What this stack changes in what is there; applied, for stacks after it read its outputs."""
        self._write(isolation.unprotected(self.config))
        with doing(self.stack.name, "init", self.step):
            self._terraform("init")
        plan = self._plan()
        with doing(self.stack.name, "apply", self.step):
            self._terraform("apply", "plan")
        return plan

    def abandon(self) -> Planned:
        """What it would take to destroy this stack."""
        self._write(isolation.unprotected(self.config))
        return self._plan("-destroy")

    def _deployed(self) -> frozenset[str]:
        return protections.deployed(json.loads(self.state.read_text()))

    def _plan(self, *arguments: str) -> Planned:
        with doing(self.stack.name, "plan", self.step):
            self._terraform("plan", "-out=plan", *arguments)
            _, shown = self._terraform("show", "-json", "plan")
        return Planned(self.stack.name, mask(json.loads(shown)))

    def _write(self, config: Config) -> None:
        (self.folder / "cdk.tf.json").write_text(json.dumps(config, indent=1))  # Terraform shows the line of an error

    def _terraform(self, command: str, *arguments: str, accept: tuple[int, ...] = (0,)) -> tuple[int, str]:
        colour = () if command == "show" else ("-no-color",)
        return self.terraform.run(command, *colour, *arguments, folder=self.folder, env=self.env, accept=accept)


class _FilesRun(_Run):
    """The rehearsal of a stack that consists of files: of a copy of them, with overrides beside."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments[:-1])
        self.notice = arguments[-1]
        self.folder = copy(self.stack, self.folder)

    def destroy(self) -> None:
        """Take everything away."""
        self._write(isolation.unprotected(self.config))
        with doing(self.stack.name, "destroy", self.step):
            self._terraform("destroy", "-auto-approve")
            if left := self._deployed():
                raise TerraformError("destroy", f"still there: {', '.join(sorted(left))}")

    def _write(self, config: Config) -> None:
        override(config, self.folder)

    def _plan(self, *arguments: str) -> Planned:
        try:
            return super()._plan(*arguments)
        except StackError as error:
            # The files alone say which variables have no value, and Terraform reads them.
            said = " ".join(error.said.replace("│", " ").split())
            missing = re.findall(r'The root module input variable "([^"]+)" is not set', said)
            if not missing:
                raise
            self.env = {**self.env, **{f"TF_VAR_{name}": _made_up(name) for name in missing}}
            self.notice(f"Made up, for want of --var NAME=VALUE: {', '.join(missing)}")
            return super()._plan(*arguments)
