"""Needs against grants: what is missing, what is unknown, and what is held and never needed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from infra.environment import Environment
from infra.permissions import needs as needs_
from infra.permissions.grants import BILLING_ACCOUNT, Grant, accounts, granted
from infra.permissions.needs import Need, Work
from infra.permissions.tables import Facts, Tables
from infra.rehearsal.synthesis import Stack

WIDEST = 10


@dataclass(frozen=True, slots=True)
class Gap:
    """What keeps somebody from their work."""

    name: str  # planner/billing.budgets.get
    says: str


@dataclass(frozen=True, slots=True)
class Held:
    """The roles of an identity, or one of them: permissions held, and those of them that are needed."""

    identity: str
    roles: tuple[str, ...]
    held: int
    needed: int

    @property
    def unneeded(self) -> int:
        """Permissions that are held and never needed."""
        return self.held - self.needed


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of the comparison for an environment."""

    asked: int  # permissions that were looked for, each once for an identity and a resource
    gaps: tuple[Gap, ...]
    unknown: tuple[Work, ...]  # calls whose permissions are unknown: not proven
    identities: tuple[Held, ...]
    grants: tuple[Held, ...]  # one role of one identity each, the widest first
    others: tuple[Grant, ...]  # to Google's own accounts, callers and jobs of CI: not looked at


def prove(env: Environment, stacks: Sequence[Stack], owned: Iterable[Grant], tables: Tables) -> Proof:
    """Compare. `owned` are the grants that no stack makes."""
    needed, unknown = needs_.needs(needs_.work(env, stacks, tables), tables)
    all_grants = [*owned, *granted(env, stacks)]
    working = {need.identity for need in needed} | {call.identity for call in unknown}
    known = [grant for grant in all_grants if grant.role in tables.google.roles]
    gaps = [
        *(
            Gap(f"types/{name}", "is in no row of infra/permissions/types.toml")
            for name in needs_.types_without_a_row(stacks, tables)
        ),
        *(
            Gap(f"{name}/calls", "is an account of which infra/permissions/calls.toml does not say what it calls")
            for name in sorted(accounts(env, stacks) - working)
        ),
        *(
            Gap(f"{role}/permissions", "is granted, and infra/permissions/google.toml does not hold it")
            for role in sorted({grant.role for grant in all_grants} - tables.google.roles.keys())
        ),
        *missing(needed, known, tables.google),
    ]
    mine = [grant for grant in known if grant.identity in working]
    return Proof(
        len(needed),
        tuple(gaps),
        tuple(unknown),
        tuple(_held(identity, mine, needed, tables.google) for identity in sorted(working)),
        tuple(_widest(mine, needed, tables.google)),
        tuple(grant for grant in all_grants if grant.identity not in working),
    )


def missing(needed: Iterable[Need], grants: Sequence[Grant], google: Facts) -> list[Gap]:
    """Each permission that no grant brings, with the narrowest role that would."""
    found = []
    for need in needed:
        roles = [grant.role for grant in grants if grant.identity == need.identity and grant.covers(need.on)]
        if not any(need.permission in google.roles[role].holds for role in roles):
            where = f"the {need.on}" if need.on == BILLING_ACCOUNT else need.on
            says = (
                f"is missing on {where}, for {need.why}; the narrowest role that holds it is {narrowest(need, google)}"
            )
            found.append(Gap(f"{need.identity}/{need.permission}", says))
    return found


def narrowest(need: Need, google: Facts) -> str:
    """The predefined role of the fewest permissions that holds what is needed."""
    holding = sorted((role.size, name) for name, role in google.roles.items() if need.permission in role.holds)
    return holding[0][1] if holding else "unknown"


def _held(identity: str, grants: Iterable[Grant], needed: Iterable[Need], google: Facts) -> Held:
    roles = frozenset(grant.role for grant in grants if grant.identity == identity)
    holds = frozenset[str]().union(*(google.roles[role].holds for role in roles))
    permissions = {need.permission for need in needed if need.identity == identity}
    return Held(identity, tuple(sorted(roles)), google.held(roles), len(permissions & holds))


def _widest(grants: Iterable[Grant], needed: Sequence[Need], google: Facts) -> list[Held]:
    """A person holds what the deployer holds: of two the deployer's counts."""
    pairs = {(grant.identity, grant.role) for grant in grants}
    pairs = {(who, role) for who, role in pairs if who != "person" or ("deployer", role) not in pairs}
    found = []
    for identity, role in pairs:
        permissions = {need.permission for need in needed if need.identity == identity}
        size, holds = google.roles[role].size, google.roles[role].holds
        found.append(Held(identity, (role,), size, len(permissions & holds)))
    return sorted(found, key=lambda held: (-held.unneeded, held.identity, held.roles))
