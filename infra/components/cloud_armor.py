"""Cloud Armor: what reaches the load balancer's backends, and how often.

Rules are tried in the order of their priority; the first that matches decides, but one in preview only writes to the
log what it would have done. https://cloud.google.com/armor/docs/security-policy-overview#eval-order
"""

from infra.bindings import (
    ArmorAdvanced,
    ArmorExpression,
    ArmorMatch,
    ArmorMatchAddresses,
    ArmorPolicy,
    ArmorRate,
    ArmorRateThreshold,
    ArmorRule,
    Lifecycle,
    TerraformStack,
)
from infra.environment import Environment

# https://cloud.google.com/armor/docs/waf-rules
MANAGED_RULES = (
    "sqli-v33-stable",
    "xss-v33-stable",
    "lfi-v33-stable",
    "rfi-v33-stable",
    "rce-v33-stable",
    "protocolattack-v33-stable",
    "scannerdetection-v33-stable",
)
HEALTH_PATH = "/readyz"  # answers 200 once a verified model is loaded; the uptime checks ask for it
KNOWN_EXPLOITS = "cve-canary"  # Log4Shell and its like: so narrow that they need no preview
LAST = 2_147_483_647  # the priority of the rule that every policy must have
EVERYBODY = ArmorMatch(versioned_expr="SRC_IPS_V1", config=ArmorMatchAddresses(src_ip_ranges=["*"]))
HEALTH_PER_MINUTE = 60  # for each address: uptime checkers ask once a minute each


def front_door(stack: TerraformStack, env: Environment) -> ArmorPolicy:
    """Everybody may knock, so often; who comes in is decided by the identity-aware proxy."""
    managed = [
        ArmorRule(
            action="deny(403)",
            priority=1_000 + number,
            preview=not env.enforce_managed_rules,
            description=rule,
            match=ArmorMatch(
                expr=ArmorExpression(expression=f"evaluatePreconfiguredWaf('{rule}', {{'sensitivity': 1}})")
            ),
        )
        for number, rule in enumerate(MANAGED_RULES)
    ]
    exploits = ArmorRule(
        action="deny(403)",
        priority=900,
        preview=False,
        description=KNOWN_EXPLOITS,
        match=ArmorMatch(expr=ArmorExpression(expression=f"evaluatePreconfiguredWaf('{KNOWN_EXPLOITS}')")),
    )
    limit = _at_most(env.address_requests_per_minute, EVERYBODY, 2_000)
    return _policy(stack, "front_door", env.name("front-door"), [exploits, *managed, limit])


def health_only(stack: TerraformStack, env: Environment) -> ArmorPolicy:
    """HEALTH_PATH, to be read and nothing else."""
    health = ArmorMatch(expr=ArmorExpression(expression=f"request.method == 'GET' && request.path == '{HEALTH_PATH}'"))
    return _policy(stack, "health_only", env.name("health-only"), [_at_most(HEALTH_PER_MINUTE, health, 1_000)])


def _policy(stack: TerraformStack, id: str, name: str, rules: list[ArmorRule]) -> ArmorPolicy:
    denied = ArmorRule(action="deny(403)", priority=LAST, preview=False, description="The rest.", match=EVERYBODY)
    return ArmorPolicy(
        stack,
        id,
        name=name,
        type="CLOUD_ARMOR",
        # NORMAL: a verbose log holds pieces of requests, and requests hold leads.
        advanced_options_config=ArmorAdvanced(json_parsing="STANDARD", log_level="NORMAL"),
        rule=[*rules, denied],
        # Not used. It may read as switched off, which would differ from not set in every plan.
        lifecycle=Lifecycle(ignore_changes=["adaptive_protection_config"]),
    )


def _at_most(per_minute: int, match: ArmorMatch, priority: int) -> ArmorRule:
    return ArmorRule(
        action="throttle",
        priority=priority,
        preview=False,
        description=f"At most {per_minute} requests a minute from one address.",
        match=match,
        rate_limit_options=ArmorRate(
            conform_action="allow",
            exceed_action="deny(429)",
            enforce_on_key="IP",
            rate_limit_threshold=ArmorRateThreshold(count=per_minute, interval_sec=60),
        ),
    )
