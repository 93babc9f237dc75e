"""What a deploy does, phase by phase, and how it takes back a scoring image that does not come up.

What fails leaves the stacks before it deployed and touches nothing after.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra import releases
from infra.environment import Environment
from infra.operations import first_deploy, images, lead_source, rollout, smoke
from infra.operations.apply import apply, planned_images, released
from infra.operations.command import Refused
from infra.operations.first_deploy import NAMESPACE, POINTER
from infra.operations.programs import Failed, Programs
from infra.operations.refusals import check_budgets
from infra.rehearsal import report
from infra.rehearsal.masking import Plan
from infra.rehearsal.steps import StackError, Step, doing, silent
from infra.rehearsal.synthesis import Stack
from infra.rehearsal.terraform import Terraform


@dataclass
class Deploy:
    """One deploy: what was asked for, where it happens, and how far it came."""

    env: Environment
    allowed: Mapping[str, str]  # reasons by what may be lost
    engine: Terraform
    programs: Programs
    build: bool | None = None  # None: where images are missing
    recipe: images.ImageRecipe = field(default_factory=lambda: images.ImageRecipe(""))
    no_smoke: str = ""  # the reason
    in_spite_of_budget: str = ""  # the reason
    folder: Path = Path()
    file: Path = releases.FILE
    door: str = ""
    patience: rollout.Patience = field(default_factory=rollout.Patience)
    step: Step = silent
    synthesize: Callable[[], Sequence[Stack]] = tuple
    stacks: Sequence[Stack] = ()
    begun: dict[str, Plan] = field(default_factory=dict)  # the plans that were to be applied, by stack
    done: list[str] = field(default_factory=list)  # for people, in order

    def phases(self) -> None:
        """Release where images are to be built; then every stack, with what belongs between them."""
        self._check_programs()
        if not self.programs.dry:
            lead_source.check(self.env)
        check_budgets(self.env, self.programs, self.in_spite_of_budget)
        if self._builds:
            self._release()
        self.stacks = self.synthesize()
        for stack in self.stacks:
            if not (self.programs.dry and self._builds):
                released(stack)
            first_deploy.check_values(self.env, self.programs, first_deploy.applying(self.env, stack, self.stacks))
            match self._part(stack):
                case "tracking":
                    self._apply(stack, self._migrate)
                case "serving":
                    rollout.model(self.env, self.programs, POINTER)
                    self._serve(stack)
                    self._timed("endpoint groups", rollout.groups)
                case "edge":
                    self._apply(stack)
                    self._smoke()
                case _:
                    self._apply(stack)

    @property
    def _builds(self) -> bool:
        missing = set(releases.IMAGES) - releases.load(self.file).get(self.env.id, {}).keys()
        return bool(missing) if self.build is None else self.build

    def _check_programs(self) -> None:
        # Terraform and kubectl log in to the cluster by the plugin.
        needed = ["git", "gcloud", "kubectl", "gke-gcloud-auth-plugin", *(["docker"] if self._builds else [])]
        if not self.programs.dry and (missing := self.programs.missing(needed)):
            raise Failed(f"not on PATH: {', '.join(missing)}", "install what is missing; nothing was changed")

    def _release(self) -> None:
        self.programs.say("where the registry is not there yet, the foundation stack is applied before anything else")
        if not images.registry_is_there(self.env, self.programs):
            self.stacks = self.synthesize()
            self._apply(self._named("foundation"))
        digests = images.release(self.env, self.programs, self.recipe, self.step)
        if not self.programs.dry:
            releases.record(self.env.id, digests, self.file)
            self.done.append(f"wrote the digests of {', '.join(digests)} to {self.file.name}: commit it")
            self.build = False

    def _named(self, part: str) -> Stack:
        return next(stack for stack in self.stacks if self._part(stack) == part)

    def _part(self, stack: Stack) -> str:
        return stack.name.removeprefix(f"{self.env.id}-")

    def _apply(self, stack: Stack, prepare: Callable[[Plan], object] = lambda _: None) -> None:
        def begin(plan: Plan) -> None:
            prepare(plan)
            self.begun[stack.name] = plan

        plan = apply(
            stack,
            self.engine,
            self.allowed,
            folder=self.folder,
            environ=self.programs.environ,
            step=self.step,
            prepare=begin,
        )
        if not self.programs.dry:
            self.done.append(f"{stack.name}: {report.count(report.changes(plan))}")
            print(self.done[-1], flush=True)

    def _migrate(self, plan: Plan) -> None:
        self.programs.say("where MLflow's image is another than before:")
        changed = planned_images(plan, "after", "mlflow-server") - planned_images(plan, "before", "mlflow-server")
        if changed or self.programs.dry:
            with doing(self.env.name("mlflow"), "migrate", self.step):
                rollout.migrate(self.env, self.programs)
            self.done.append(f"{self.env.name('mlflow')}: backed up, its schema is that of the new image")

    def _timed(self, what: str, wait: Callable[[Environment, Programs, rollout.Patience, str], None]) -> None:
        with doing(self.env.name("scoring"), what, self.step):
            wait(self.env, self.programs, self.patience, NAMESPACE)

    def _serve(self, stack: Stack) -> None:
        try:
            self._apply(stack)
            self._timed("roll-out", rollout.pods)
        except (StackError, Failed):
            if stack.name in self.begun:
                self._put_back(stack)
            raise

    def _smoke(self) -> None:
        if self.no_smoke:
            self.done.append(f"no smoke test: {self.no_smoke}")
            print(self.done[-1])
            return
        if not self.programs.dry and not smoke.resolves(self.door):
            edge = self.folder / self._named("edge").name
            _, records = self.engine.run("output", "-no-color", folder=edge, env=self.programs.environ)
            raise Failed(
                f"{self.door} does not resolve",
                "make the domain's DNS records: address_record is what it resolves to, certificate_record the CNAME "
                f"that proves it yours\n{records.strip()}\nThen deploy again; until then with --no-smoke 'REASON'.",
            )
        try:
            with doing(self.env.name("scoring"), "smoke test", self.step):
                commit, patience = images.commit(self.programs), self.patience
                smoke.test(self.env, self.programs, self.door, commit, seconds=patience.door, every=patience.every)
        except Failed:
            self._put_back(self._named("serving"))
            raise

    def _put_back(self, serving: Stack) -> None:
        """Let the serving stack run the scoring image that ran before this deploy; says what came of it."""
        old, new = (planned_images(self.begun[serving.name], when, "scoring") for when in ("before", "after"))
        if not old or old == new:
            said = "is the one that ran before" if old else "is the first one"
            self.done.append(f"{serving.name}: nothing to put back, its scoring image {said}")
            return
        (before,), (after,) = old, new
        config = json.loads(json.dumps(serving.config).replace(after, before))
        try:
            self._apply(Stack(serving.name, config, serving.needs))
            self._timed("roll-out", rollout.pods)
        except (StackError, Failed, Refused) as error:
            self.done.append(
                f"{serving.name}: PUTTING BACK {before} FAILED: {error}\n  pods of it that still run go on serving; "
                f"look with kubectl --namespace={NAMESPACE} get pods"
            )
            return
        releases.record(self.env.id, {"scoring": before.rpartition("@")[2]}, self.file)
        self.done.append(
            f"{serving.name}: PUT BACK to {before}, instead of {after}; {self.file.name} names it again: commit that"
        )

    def account(self) -> str:
        """What was done, what only in part, and what was not reached: after a failure."""
        finished = {line.partition(":")[0] for line in self.done}
        partly = [name for name in self.begun if name not in finished]
        rest = [stack.name for stack in self.stacks if stack.name not in self.begun]
        lines = ["What was done, and stays:", *(f"  {line}" for line in self.done or ["nothing"])]
        lines += [f"Begun, not finished: {', '.join(partly)}"] if partly else []
        lines += [f"Not reached: {', '.join(rest)}"] if rest else []
        return "\n".join([*lines, "The deploy can be run again: it goes on from here."])
