"""What the provider refuses by its code alone, so that no schema tells: arguments that exclude each other.

As in the provider, an argument counts as given when it is written, whatever its value; a block, when it is there.
"""

from collections.abc import Iterator, Sequence
from typing import Any

# Autopilot decides these itself: `ConflictsWith: enable_autopilot` in
# github.com/hashicorp/terraform-provider-google/blob/0297605c600111e010e09edb39901e0806b00a9a/
# google/services/container/resource_container_cluster.go
AUTOPILOT = (
    "addons_config.dns_cache_config",
    "addons_config.network_policy_config",
    "addons_config.stateful_ha_config",
    "binary_authorization.enabled",
    "cluster_autoscaling.enabled",
    "cluster_autoscaling.resource_limits",
    "default_max_pods_per_node",
    "enable_intranode_visibility",
    "enable_shielded_nodes",
    "network_policy",
    "node_pool",
    "remove_default_node_pool",
)

# Of each type, the arguments that may not stand beside another one.
CONFLICTS: dict[str, tuple[tuple[str, str], ...]] = {
    "google_container_cluster": (
        *((path, "enable_autopilot") for path in AUTOPILOT),
        ("binary_authorization.enabled", "binary_authorization.evaluation_mode"),
        ("cluster_ipv4_cidr", "ip_allocation_policy"),
    ),
}


def refused(type_name: str, config: Any) -> Iterator[tuple[str, str]]:
    """The arguments of `config` that the provider refuses, each with the reason in its words."""
    for path, other in CONFLICTS.get(type_name, ()):
        if _given(config, path.split(".")) and _given(config, other.split(".")):
            yield path, f'Conflicting configuration arguments: "{path}": conflicts with {other}'


def _given(value: Any, steps: Sequence[str]) -> bool:
    if isinstance(value, list):
        return any(_given(element, steps) for element in value)
    if not steps:
        return value is not None
    return isinstance(value, dict) and _given(value.get(steps[0]), steps[1:])
