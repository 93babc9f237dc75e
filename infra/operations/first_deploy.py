"""The first deploy of an empty project, event by event: what people and `scripts/deploy` do, and in which order.

The order is that of `Deploy.phases` in `infra/operations/deployment.py`; what a stack needs is read from the stack.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from infra import releases
from infra.environment import Environment
from infra.operations import owner
from infra.operations.prerequisites import BOOTSTRAP_APIS, quotas
from infra.operations.programs import Failed, Programs
from infra.rehearsal.synthesis import Stack
from infra.timeline.events import DeployEvent, walk
from infra.timeline.needs import stack_event, values_from_people

NAMESPACE = "leadscoring"  # of the pods; a test compares it with the serving stack's
POINTER = "champion.json"  # names the model that the pods load; a test compares it with the service's
TOKEN, TOKEN_SECRET = "PAGERDUTY_TOKEN", "pagerduty-token"  # what PagerDuty's provider reads, and where it is kept
GROUPS = f"endpoint groups of {NAMESPACE}/scoring"


def timeline(env: Environment, stacks: Sequence[Stack]) -> list[DeployEvent]:
    """All events of a first deploy in their order. Raises DeadlockError where one of them cannot happen."""
    applied = [applying(env, stack, stacks) for stack in stacks]
    return walk(list(steps(env, applied)), list(people(env, applied)))


def applying(env: Environment, stack: Stack, stacks: Sequence[Stack]) -> DeployEvent:
    """Applying `stack`; where it has PagerDuty's provider, with the provider's token."""
    event = stack_event(stack, stacks, pointer=POINTER)
    if "pagerduty" not in stack.config["provider"]:
        return event
    return replace(event, needs={**event.needs, f"value of secret {env.name(TOKEN_SECRET)}": "PagerDuty's provider"})


def stops(events: Sequence[DeployEvent]) -> list[str]:
    """Where a first deploy stops for a person: before which step, and what the person runs."""
    found = []
    for number, event in enumerate(events):
        if event.command:
            step = next((each.name for each in events[number:] if not each.command), "the end")
            found.append(f"before `{step}`: {event.name}: {event.command}")
    return found


def steps(env: Environment, applied: Sequence[DeployEvent]) -> Iterator[DeployEvent]:
    """What `scripts/bootstrap` and `scripts/deploy` do; `applied` are the events of the stacks in their order."""
    yield _bootstrap(env)
    parts = {event.name.removeprefix(f"apply {env.id}-"): event for event in applied}
    # Foundation turns on the registry's API: without an answer a deploy takes the registry for missing.
    yield from ([parts["foundation"]] if "foundation" in parts else [])
    yield _release(env)
    for part, event in parts.items():
        match part:
            case "foundation":
                continue
            case "tracking":
                yield _migrate(env)
                yield event
            case "serving":
                yield event
                yield DeployEvent(
                    "wait for the roll-out", {f"Service {NAMESPACE}/scoring": "kubectl"}, frozenset({GROUPS})
                )
            case "edge":
                yield event
                yield _smoke(env)
            case _:
                yield event


def people(env: Environment, applied: Sequence[DeployEvent]) -> Iterator[DeployEvent]:
    """What people do, each with the command that does it, for the events of the stacks."""
    yield _owner(env)
    secrets, variables = _from_people(env, applied)
    for secret in secrets:
        needs = {f"secret {secret}": "gcloud secrets versions add"}
        made = frozenset({f"value of secret {secret}"})
        yield DeployEvent(f"add a value to the secret {secret}", needs, made, add_value(env, secret))
    for variable in variables:
        needs = {f"value of secret {secret_of(env, variable)}": "where the value is kept"}
        made = frozenset({f"variable {variable}"})
        yield DeployEvent(f"set TF_VAR_{variable}", needs, made, set_variable(env, variable))
    images = {f"image {releases.image(env, 'jobs')}": "the job's container"}
    job = {f"job {env.name('train')}": "gcloud run jobs execute"}
    buckets = {f"bucket {env.name(thing)}": "the job's files" for thing in ("models", "leads")}
    made = frozenset({f"model gs://{env.name('models')}/{POINTER}"})
    yield DeployEvent("train the first model", job | images | buckets, made, train(env))
    outputs = {
        f"output {env.id}-edge.{name}": "the record's value" for name in ("address_record", "certificate_record")
    }
    yield DeployEvent(
        "make the domain's DNS records",
        outputs,
        frozenset({f"address record of {env.domain}", f"certificate record of {env.domain}"}),
        "in the domain's zone: address_record and certificate_record, which edge prints",
    )


def add_value(env: Environment, secret: str) -> str:
    """The command that adds a version to a secret."""
    return f"gcloud secrets versions add {secret} --data-file=- --project={env.project}"


def secret_of(env: Environment, variable: str) -> str:
    """The secret that keeps the value of a Terraform variable."""
    return env.name(variable.replace("_", "-"))


def set_variable(env: Environment, variable: str) -> str:
    """The command that gives Terraform the newest version of a variable's secret, for as long as the shell is open."""
    read = f"gcloud secrets versions access latest --secret={secret_of(env, variable)} --project={env.project}"
    return f'export TF_VAR_{variable}="$({read})"'


def train(env: Environment) -> str:
    """The command that trains and publishes the first model."""
    return f"gcloud run jobs execute {env.name('train')} --region={env.region} --project={env.project} --wait"


def check_values(env: Environment, programs: Programs, event: DeployEvent) -> None:
    """Stop before a stack whose secrets have no value, or whose variables are not set. Raises Failed."""
    secrets, variables = values_from_people(event)
    asked = ("--filter=state=ENABLED", "--limit=1", "--format=value(name)", f"--project={env.project}", "--quiet")
    for secret in dict.fromkeys([*secrets, *(secret_of(env, variable) for variable in variables)]):
        if not programs.run("gcloud", "secrets", "versions", "list", secret, *asked, assumed="1").strip():
            raise Failed(
                f"{event.name} needs a value of the secret {secret}, which has none",
                f"add one: {add_value(env, secret)}\nThen deploy again.",
            )
    if env.name(TOKEN_SECRET) in secrets and not programs.dry and not programs.environ.get(TOKEN):
        read = f"gcloud secrets versions access latest --secret={env.name(TOKEN_SECRET)} --project={env.project}"
        raise Failed(f"{event.name} needs {TOKEN}", f'set it in this shell, in no file: export {TOKEN}="$({read})"')
    missing = [] if programs.dry else [each for each in variables if not programs.environ.get(f"TF_VAR_{each}")]
    if missing:
        raise Failed(
            f"{event.name} needs {', '.join(f'TF_VAR_{each}' for each in missing)}",
            "set it in this shell, in no file: " + "\n".join(set_variable(env, each) for each in missing),
        )


def _from_people(env: Environment, applied: Sequence[DeployEvent]) -> tuple[list[str], list[str]]:
    """The secrets whose values people add, and the Terraform variables that they set, of all stacks."""
    secrets, variables = [], []
    for event in applied:
        own, given = values_from_people(event)
        secrets += [*own, *(secret_of(env, variable) for variable in given)]
        variables += given
    return list(dict.fromkeys(secrets)), list(dict.fromkeys(variables))


def _owner(env: Environment) -> DeployEvent:
    """`scripts/bootstrap ENV --owner`, read from the commands that it prints."""
    lines = owner.commands(env)
    enabled = " ".join(line for line in lines if "services enable" in line)
    identities = {line.split("--service ")[1].split()[0] for line in lines if "services identity create" in line}
    agents = {agent for agent, service in owner.SERVICES.items() if service in identities}
    agents |= {"gs-project-accounts"} if any("storage service-agent" in line for line in lines) else set()
    made = {f"API {api}" for api in re.findall(r"[\w-]+\.googleapis\.com", enabled)}
    # Made with its API: https://cloud.google.com/compute/docs/access/service-accounts#compute_engine_service_account
    agents |= {"compute-system"} if "API compute.googleapis.com" in made else set()
    made |= {
        f"Google's account service-{env.project_number}@{agent}.iam.gserviceaccount.com" for agent in sorted(agents)
    }
    roles = re.findall(r"^gcloud iam roles create (\w+)", "\n".join(lines), re.M)
    made |= {f"role {role} of the project's own" for role in roles}
    return DeployEvent("prepare the project", {}, frozenset(made), f"what `scripts/bootstrap {env.id} --owner` prints")


def _bootstrap(env: Environment) -> DeployEvent:
    needs = {f"API {api}": "its checks" for api in BOOTSTRAP_APIS}
    checked = {*(f"quota {quota}" for quota in quotas(env)), f"right to make budgets on {env.billing_account}"}
    return DeployEvent(f"scripts/bootstrap {env.id}", needs, frozenset({f"bucket {env.state_bucket}", *checked}))


def _release(env: Environment) -> DeployEvent:
    needs = {f"registry {env.name('images')}": "docker push"}
    needs |= {f"API {api}.googleapis.com": "the scan" for api in ("containeranalysis", "containerscanning")}
    return DeployEvent(
        "build, scan and push the images",
        needs,
        frozenset(f"image {releases.image(env, name)}" for name in ("scoring", "jobs", "mlflow-server")),
    )


def _migrate(env: Environment) -> DeployEvent:
    needs = {
        f"database {env.name('mlflow')}": "its backup",
        f"job {env.name('migrate')}": "gcloud run jobs execute",
        f"value of secret {env.name('migrator-password')}": "the job's login",
    }
    return DeployEvent("migrate MLflow's database", needs)


def _smoke(env: Environment) -> DeployEvent:
    needs = {
        "API iamcredentials.googleapis.com": f"a token of {env.email('smoke')}",
        f"address record of {env.domain}": "the request",
        f"certificate record of {env.domain}": "TLS",
    }
    return DeployEvent("smoke test", needs)
