"""PagerDuty as code: who is called for pages, who owns tickets, and which alerts are one incident.

Arguments and defaults: https://github.com/PagerDuty/terraform-provider-pagerduty/tree/v3.30.8/website/docs/r
The provider reads its token from PAGERDUTY_TOKEN, and PAGERDUTY_SERVICE_REGION=eu for an account in Europe, so neither
is in a plan or a state. The keys of the integrations are in the state of the stack that is given here.
"""

from typing import Any

from infra.bindings import (
    AlertGrouping,
    AlertGroupingConfig,
    EscalationPolicy,
    EscalationRule,
    EscalationTarget,
    PagerdutyIntegration,
    PagerdutyProvider,
    PagerdutyService,
    PagerdutyUrgency,
    TerraformStack,
)
from infra.environment import Environment, OnCall

ANSWER_MINUTES = 10  # to acknowledge a page before the next is called
ROUNDS = 2  # more, through all of them, if nobody answers; the provider takes 0 to 9
HALF_HOUR, DAY = "1800", "86400"  # seconds after which an acknowledged incident that is not resolved calls again


def add_on_call(stack: TerraformStack, env: Environment) -> tuple[str, str | None]:
    """Make the services of `env`. Returns the integration keys for pages and, where tickets have an owner, for them."""
    PagerdutyProvider(stack, "pagerduty_provider")
    called = [target for target in (env.on_call, env.escalate_to) if target]
    pages = _service(stack, env, "pages", called, urgency="high", again=HALF_HOUR)
    if env.page_group_minutes:
        AlertGrouping(
            stack,
            "pagerduty_grouping",
            name=f"Lead scoring pages {env.id}",
            description="One cause sets off several alerts: those that come together are one incident, and one call.",
            type="time",
            services=[pages.id],
            config=AlertGroupingConfig(timeout=60 * env.page_group_minutes),
        )
    tickets = None
    if env.ticket_owner:
        tickets = _service(stack, env, "tickets", [env.ticket_owner], urgency="low", again=DAY)
    return _key(stack, "pages", pages), _key(stack, "tickets", tickets) if tickets else None


def _service(
    stack: TerraformStack, env: Environment, kind: str, called: list[OnCall], *, urgency: str, again: str
) -> Any:
    """A service whose incidents call `called`, one after the other, at an urgency."""
    name = f"Lead scoring {kind} {env.id}"
    policy = EscalationPolicy(
        stack,
        f"pagerduty_{kind}_policy",
        name=name,
        description=f"Who is called for {kind} of {env.project}.",
        num_loops=ROUNDS,
        rule=[
            EscalationRule(escalation_delay_in_minutes=ANSWER_MINUTES, target=[_target(target)]) for target in called
        ],
    )
    return PagerdutyService(
        stack,
        f"pagerduty_{kind}",
        name=name,
        description=f"{kind.capitalize()} of the lead scoring platform in {env.project}. Runbooks: {env.runbooks_url}",
        escalation_policy=policy.id,
        incident_urgency_rule=PagerdutyUrgency(type="constant", urgency=urgency),
        acknowledgement_timeout=again,
        # By default PagerDuty resolves an incident after four hours, mended or not. Cloud Monitoring reports its end.
        auto_resolve_timeout="null",
    )


def _target(target: OnCall) -> Any:
    kind, _, id = target.partition(":")
    return EscalationTarget(type=f"{kind}_reference", id=id)


def _key(stack: TerraformStack, kind: str, service: Any) -> str:
    # Modules in use give Google's channel a key of this type. Google's own page was not read: send a test first.
    made = PagerdutyIntegration(
        stack,
        f"pagerduty_{kind}_key",
        name="Google Cloud Monitoring",
        service=service.id,
        type="events_api_v2_inbound_integration",
    )
    return str(made.integration_key)
