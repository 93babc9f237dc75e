"""All policies on the plans of one environment, counted: none of them can quietly not have run."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# The modules of policies add what they hold to POLICIES.
from infra.policies import cluster, data, edge, identity, monitoring, scanner, skips, workloads  # noqa: F401
from infra.policies.plan import Plan, PlanError, read
from infra.policies.policy import POLICIES
from infra.policies.scanner import CheckOutcome
from infra.policies.skips import Skip

# Types that hold nothing to judge; any other type that no check judges fails.
HARMLESS = {
    "google_certificate_manager_certificate": "Google makes and renews it for the domain that its record proves",
    "google_certificate_manager_certificate_map": "names certificates; the proxy that uses it is judged",
    "google_certificate_manager_certificate_map_entry": "names certificates; the proxy that uses it is judged",
    "google_certificate_manager_dns_authorization": "a record that proves a domain",
    "google_compute_address": "an address alone lets nobody in",
    "google_compute_global_address": "an address alone lets nobody in",
    "google_compute_health_check": "asks pods how they are",
    "google_compute_router": "a router without rules; its NAT is judged",
    "google_compute_url_map": "judged with the backends that it leads to",
    "google_dns_record_set": "judged with the zone that it stands in",
    "google_iam_workload_identity_pool": "a pool lets nobody in; its provider is judged",
    "google_logging_metric": "counts log lines",
    "google_monitoring_custom_service": "a name that SLOs stand under",
    "google_monitoring_dashboard": "a picture of what is measured",
    "google_monitoring_slo": "a measurement of what is promised",
    "google_sql_database": "lies in the instance, which is judged",
    "pagerduty_alert_grouping_setting": "makes one incident of alerts that come together",
    "pagerduty_escalation_policy": "calls whom the environment names, which is checked there",
    "pagerduty_service": "made in one place, for an environment that is checked",
    "pagerduty_service_integration": "a key to report incidents with, which the state holds",
    "google_service_networking_connection": "joins Google's network of private addresses to ours",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A check that did not pass."""

    check: str
    demands: str
    stack: str  # storage
    address: str
    says: str

    @property
    def resource(self) -> str:
        """`<stack>/<address>`, as skips name it."""
        return f"{self.stack}/{self.address}"


@dataclass(slots=True)
class Results:
    """What came of the checks on an environment's plans."""

    environment: str
    plans: int
    executed: Counter[str] = field(default_factory=Counter)  # by whose check: checkov, ours
    failures: list[Failure] = field(default_factory=list)
    skipped: list[tuple[Failure, Skip]] = field(default_factory=list)
    unjudged: list[str] = field(default_factory=list)  # <stack>/<address> that no check judged
    needless: list[Skip] = field(default_factory=list)  # skips of what does not fail (any more)

    @property
    def passed(self) -> bool:
        """Whether nothing failed but what is skipped, with every resource judged and every skip needed."""
        return not (self.failures or self.unjudged or self.needless)


def check(
    folder: Path,
    environment: str,
    *,
    today: dt.date | None = None,
    skipped: Sequence[Skip] | None = None,
    checkov: Path = scanner.CHECKOV,
) -> Results:
    """Judge the plans `<environment>-<stack>.json` in a folder, as a rehearsal or a real plan writes them.

    Raises PlanError for a file that is no plan, ScannerError when checkov did not do its work, SkipError for a
    wrong file of skips.
    """
    day = today or dt.datetime.now(dt.UTC).date()
    files = sorted(folder.glob("*.json"))
    if not files:
        raise PlanError(f"no plan in {folder}")
    plans = [read(file) for file in files]
    results = Results(environment, len(plans))
    judged: set[str] = set()
    failures = [*_ours(plans, results.executed, judged), *_checkov(folder, checkov, results.executed, judged)]
    _settle(failures, skips.read(today=day) if skipped is None else skipped, day, results)
    results.unjudged = [
        f"{plan.stack}/{resource.address}"
        for plan in plans
        for resource in plan.resources
        if f"{plan.stack}/{resource.address}" not in judged and resource.type not in HARMLESS
    ]
    return results


def _ours(plans: Iterable[Plan], executed: Counter[str], judged: set[str]) -> Iterable[Failure]:
    for plan in plans:
        for resource in plan.resources:
            for policy in (p for p in POLICIES.values() if p.judges(resource)):
                executed["ours"] += 1
                judged.add(f"{plan.stack}/{resource.address}")
                if says := policy.judge(resource):
                    yield Failure(policy.id, policy.demands, plan.stack, resource.address, says)


def _checkov(folder: Path, checkov: Path, executed: Counter[str], judged: set[str]) -> Iterable[Failure]:
    for outcome in scanner.scan(folder, checkov):
        executed["checkov"] += 1
        judged.add(f"{_stack(outcome)}/{outcome.address}")
        if not outcome.passed:
            yield Failure(outcome.check, outcome.name, _stack(outcome), outcome.address, "does not pass")


def _stack(outcome: CheckOutcome) -> str:
    return Path(outcome.file).stem.partition("-")[2]


def _settle(failures: Iterable[Failure], agreed: Sequence[Skip], day: dt.date, results: Results) -> None:
    mine = [skip for skip in agreed if not skip.environments or results.environment in skip.environments]
    needed = set()
    for failure in failures:
        skip = next((skip for skip in mine if skip.covers(failure.check, failure.resource)), None)
        if skip is None:
            results.failures.append(failure)
            continue
        needed.add(skip)
        if skip.expires < day:
            says = f"{failure.says}; its skip ended on {skip.expires}"
            results.failures.append(Failure(failure.check, failure.demands, failure.stack, failure.address, says))
        else:
            results.skipped.append((failure, skip))
    results.needless = [skip for skip in mine if skip not in needed]
