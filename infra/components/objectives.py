"""Cloud Monitoring's own objects for the promises that it can count: a service, and an SLO for each.

The console shows their error budgets, and conditions may read them without a limit of look-back. A promise about time
that is counted in PromQL alone has none: its budget is on the dashboard `budgets`.
"""

from collections.abc import Iterable, Sequence

from infra.bindings import (
    AlertCondition,
    AlertDocumentation,
    AlertLink,
    AlertPolicy,
    AlertStrategy,
    AlertThreshold,
    MonitoringCustomService,
    MonitoringSlo,
    SloDistribution,
    SloIndicator,
    SloRange,
    SloRatio,
    TerraformStack,
)
from infra.environment import Environment
from monitoring.alerts import Severity
from monitoring.slos import Distribution, Ratio, Slo


def add_objectives(stack: TerraformStack, env: Environment, slos: Iterable[Slo], pager: Sequence[str]) -> None:
    """Add them; and, where the environment asks for it, a page to the channels `pager` for a spent budget."""
    known = [(slo, slo.counted) for slo in slos if slo.counted]
    if not known:
        return
    service = MonitoringCustomService(
        stack, "service", service_id=env.name("scoring"), display_name=f"Lead scoring ({env.id})"
    )
    for slo, counted in known:
        made = MonitoringSlo(
            stack,
            f"slo_{slo.name}",
            service=service.service_id,
            slo_id=slo.name,
            display_name=f"{slo.name} ({env.id})",
            goal=float(slo.objective),
            rolling_period_days=slo.period.days,
            request_based_sli=_indicator(counted),
        )
        if env.budget_spent == "page" and any(window.severity is Severity.PAGE for window in slo.windows):
            _page(stack, env, slo, made, pager)


def _page(stack: TerraformStack, env: Environment, slo: Slo, made: MonitoringSlo, pager: Sequence[str]) -> None:
    """A page once nothing is left of the budget.

    The expressions of the catalogue look back 28 days for that, which Cloud Monitoring evaluates for tickets alone
    (`monitoring.limits`). Its own SLO knows the share that is left at each moment. A condition on it has a filter and
    no aggregation: https://cloud.google.com/stackdriver/docs/solutions/slo-monitoring/api/create-policy-api
    """
    name = f"projects/{env.project}/services/{env.name('scoring')}/serviceLevelObjectives/{slo.name}"
    AlertPolicy(
        stack,
        f"{slo.name}BudgetGone",
        display_name=f"{slo.name}BudgetGone ({env.id})",
        combiner="OR",
        enabled=True,
        severity="CRITICAL",
        user_labels={"environment": env.id, "severity": Severity.PAGE.value},
        notification_channels=list(pager),
        conditions=[
            AlertCondition(
                display_name=f"{slo.name}BudgetGone",
                condition_threshold=AlertThreshold(
                    filter=f'select_slo_budget_fraction("{name}")',
                    comparison="COMPARISON_LT",
                    threshold_value=0,
                    duration="0s",
                ),
            )
        ],
        alert_strategy=AlertStrategy(auto_close="86400s", notification_prompts=["OPENED", "CLOSED"]),
        documentation=AlertDocumentation(
            mime_type="text/markdown",
            subject=f"[{env.id}] {slo.name}BudgetGone",
            content=f"{slo.symptom}: the error budget of {slo.period.days} days is spent and the promise is broken.",
            links=[AlertLink(display_name="Runbook", url=f"{env.runbooks_url}/{slo.runbook}")],
        ),
        depends_on=[made],
    )


def _indicator(counted: Ratio | Distribution) -> SloIndicator:
    if isinstance(counted, Ratio):
        ratio = SloRatio(bad_service_filter=counted.bad, total_service_filter=counted.total)
        return SloIndicator(good_total_ratio=ratio)
    cut = SloDistribution(distribution_filter=counted.of, range=SloRange(max=counted.most))
    return SloIndicator(distribution_cut=cut)
