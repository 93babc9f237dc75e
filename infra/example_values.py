"""Values that only stand for an adopter's own: those that this repository ships, and image digests of nothing.

Real plans and deploys refuse them, plain `cdktf deploy` too. Rehearsals, which call no cloud, run with them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from infra import releases
from infra.environment import Environment

VARIABLE = "LEADSCORING_PLACEHOLDERS"  # set to `allow` for stand-ins, never for a cloud
ENVIRONMENTS_FILE, RELEASES_FILE = "infra/environments.py", "infra/releases.toml"
# Domains that nobody can register, of an address or by themselves: https://www.rfc-editor.org/rfc/rfc2606
RESERVED = re.compile(r"(^|@|//)([\w-]+\.)*([\w-]+\.(example|invalid|test|localhost)|example\.(com|net|org))(/|$)")
SHIPPED = {
    "project": r"acme-leads-\w+",
    "project_number": r"(\d)\1+",  # one digit, repeated
    "billing_account": r"0A1B2C-3D4E5F-6A7B8C",
    "escalate_to": r"schedule:PACME01",
    "runbooks_url": r"https://github\.com/acme/lead-scoring/.*",
    "github_repository_id": r"100000000",
    "github_owner_id": r"10000000",
}


class ExampleValuesError(Exception):
    """Environments still hold values that stand for the adopter's own."""

    def __init__(self, values: Sequence[str]) -> None:
        super().__init__("\n".join(["these values only stand for your own:", *(f"  {value}" for value in values)]))
        self.remedy = (
            "Write your own there. LEADSCORING_ENV=ENV lets cdktf see one environment alone. Where no cloud is asked, "
            f"{VARIABLE}=allow lets them pass."
        )


def of(env: Environment) -> list[str]:
    """The fields of `env` that hold example values, each with its value."""
    found = []
    for field in type(env).model_fields:
        value = getattr(env, field)
        texts = [value] if isinstance(value, str) else value if isinstance(value, tuple) else ()
        for text in filter(lambda each: isinstance(each, str), texts):
            if RESERVED.search(text) or re.fullmatch(SHIPPED.get(field, "(?!)"), text):
                found.append(f"{field} = {text}")
    return found


def refuse(envs: Iterable[Environment], environ: Mapping[str, str], *, images: bool) -> None:
    """Raise ExampleValuesError, which names each value and where to set it, unless `environ` allows them.

    `images`: digests too. `scripts/deploy` looks at these stack by stack, for the first stacks run none.
    """
    if environ.get(VARIABLE) == "allow":
        return
    lines = []
    for env in envs:
        lines += [f"{ENVIRONMENTS_FILE}: {env.id}: {value}" for value in of(env)]
        missing = set(releases.IMAGES) - releases.load().get(env.id, {}).keys() if images else set()
        lines += [
            f"{RELEASES_FILE}: [{env.id}] has no {name}: `scripts/deploy {env.id} --build`" for name in sorted(missing)
        ]
    if lines:
        raise ExampleValuesError(lines)
