"""What the internet can reach: firewall, network, load balancer, IAP, Cloud Armor."""

import re

from infra.policies.plan import Resource
from infra.policies.policy import other_than, policy, require, unset

BACKEND, ARMOR, MAP = "google_compute_backend_service", "google_compute_security_policy", "google_compute_url_map"
EVERYWHERE = ("0.0.0.0/0", "::/0", "*")

require(
    "network-by-hand",
    "google_compute_network",
    "auto_create_subnetworks",
    False,
    because="only subnets that the stack names exist",
)
require(
    "subnet-private-access",
    "google_compute_subnetwork",
    "private_ip_google_access",
    True,
    because="Google's APIs are reached without a public address",
)


@policy("subnet-flow-logs", "google_compute_subnetwork")
def flow_logs(r: Resource) -> str | None:
    """Who talked to whom is on record."""
    return None if r.at("log_config.flow_sampling") or "PROXY" in r.written("purpose") else "no log_config"


@policy("nat-logged", "google_compute_router_nat")
def nat_logged(r: Resource) -> str | None:
    """What leaves our network, or fails to, is on record."""
    return other_than(r, "log_config.enable", True)


@policy("firewall-narrow", "google_compute_firewall")
def firewall_narrow(r: Resource) -> str | None:
    """What is let in comes from named ranges, accounts or tags, to named ports; within one range to any port."""
    if r.values.get("direction") == "EGRESS" or not r.at("allow"):
        return None
    if open_ := [s for s in r.at("source_ranges") if s in EVERYWHERE]:
        return f"lets in {open_[0]}"
    if not any(r.at(f"source_{by}") for by in ("ranges", "tags", "service_accounts")):
        return "names no source: everywhere"
    if r.at("source_ranges") and r.at("source_ranges") == r.at("destination_ranges"):
        return None  # machines of a subnet among themselves, as Spark asks for
    for rule in r.at("allow"):
        if rule["protocol"] == "all" or (rule["protocol"] in ("tcp", "udp") and not rule.get("ports")):
            return f"lets in every port of {rule['protocol']}"
    return None


@policy("firewall-logged", "google_compute_firewall")
def firewall_logged(r: Resource) -> str | None:
    """What a rule stops is on record; what one lets through is in the subnets' flow logs."""
    return "stops without log_config" if r.at("deny") and not r.at("log_config.metadata") else None


@policy("network-closed", "google_compute_network")
def network_closed(r: Resource) -> str | None:
    """In both directions everything is denied that no rule allows: Google's own rules let everything out."""
    for direction, peers in (("INGRESS", "source_ranges"), ("EGRESS", "destination_ranges")):
        denying = [
            rule
            for rule in r.plan.of("google_compute_firewall")
            if rule.values.get("direction") == direction
            and rule.at("deny.protocol") == ["all"]
            and EVERYWHERE[0] in rule.at(peers)
        ]
        if not denying:
            return f"{direction} is not denied by default"
    return None


@policy("firewall-on", "google_compute_firewall")
def firewall_on(r: Resource) -> str | None:
    """A rule that is switched off is no rule."""
    return None if unset(r, "disabled") else "is disabled"


@policy("backend-armor", BACKEND)
def backend_armor(r: Resource) -> str | None:
    """Cloud Armor stands before every backend."""
    return "no security_policy" if unset(r, "security_policy") else None


@policy("backend-logged", BACKEND)
def backend_logged(r: Resource) -> str | None:
    """Every request is on record."""
    return other_than(r, "log_config.enable", True) or other_than(r, "log_config.sample_rate", 1)


@policy("backend-iap", BACKEND)
def backend_iap(r: Resource) -> str | None:
    """Identity-Aware Proxy asks who it is; a backend without it answers one exact path and nothing else."""
    if r.at("iap.enabled") == [True]:
        return None
    for url_map in r.plan.of(MAP):
        if problem := _open_paths(url_map, r.address):
            return f"no IAP, and {url_map.address} {problem}"
    policies = [p for p in r.plan.of(ARMOR) if r.refers(p)]
    return None if any(map(_denies_the_rest, policies)) else "no IAP, and its security policy does not deny the rest"


def _open_paths(url_map: Resource, backend: str) -> str | None:
    """What a URL map sends to a backend beyond one exact path."""
    if _points(url_map.expressions.get("default_service"), backend):
        return "sends it whatever no rule matches"
    paths = []
    for matcher in url_map.expressions.get("path_matcher", ()):
        if _points(matcher.get("default_service"), backend):
            return "sends it whatever no path matches"
        for rule in (*matcher.get("path_rule", ()), *matcher.get("route_rules", ())):
            if _points(rule.get("service"), backend):
                paths += (rule.get("paths") or {}).get("constant_value", [])
                for match in rule.get("match_rules", ()):
                    paths.append((match.get("full_path_match") or {}).get("constant_value", "*"))
    if len(paths) > 1 or any("*" in str(path) for path in paths):
        return f"sends it {', '.join(map(str, paths))}"
    return None


def _points(expression: object, address: str) -> bool:
    references = expression.get("references", ()) if isinstance(expression, dict) else ()
    return any(reference == address or reference.startswith(f"{address}.") for reference in references)


def _denies_the_rest(armor: Resource) -> bool:
    """Whether the last rule, which matches everything, denies."""
    last = [rule for rule in armor.at("rule") if isinstance(rule, dict) and rule["priority"] == 2_147_483_647]
    return bool(last) and str(last[0]["action"]).startswith("deny")


@policy("armor-rate-limit", ARMOR)
def armor_rate_limit(r: Resource) -> str | None:
    """One caller cannot use up the service."""
    limits = [
        rule
        for rule in r.at("rule")
        if isinstance(rule, dict) and rule["action"] in ("throttle", "rate_based_ban") and not rule.get("preview")
    ]
    return None if limits else "no rule limits the rate"


@policy("tls-modern", "google_compute_ssl_policy")
def tls_modern(r: Resource) -> str | None:
    """TLS 1.2 at least, with today's ciphers."""
    return other_than(r, "min_tls_version", "TLS_1_2", "TLS_1_3") or other_than(
        r, "profile", "MODERN", "RESTRICTED", "FIPS_202205"
    )


@policy("tls-policy", "google_compute_target_https_proxy")
def tls_policy(r: Resource) -> str | None:
    """The load balancer uses our TLS policy; Google's default takes TLS 1.0."""
    return "no ssl_policy" if unset(r, "ssl_policy") else None


@policy("http-redirects", "google_compute_target_http_proxy")
def http_redirects(r: Resource) -> str | None:
    """Without encryption there is only the redirect to HTTPS."""
    maps = [m for m in r.plan.of(MAP) if r.refers(m)]
    redirects = maps and all(m.at("default_url_redirect.https_redirect") == [True] for m in maps)
    return None if redirects else "answers without encryption"


@policy("front-one", "google_compute_global_forwarding_rule", "google_compute_forwarding_rule")
def front_one(r: Resource) -> str | None:
    """The internet comes in through the global application load balancer alone."""
    if r.type == "google_compute_forwarding_rule" and str(r.values.get("load_balancing_scheme")).startswith("EXTERNAL"):
        return "a regional way in that neither IAP nor Cloud Armor guards"
    if r.type == "google_compute_forwarding_rule":
        return None
    return other_than(r, "load_balancing_scheme", "EXTERNAL_MANAGED")


@policy("no-public-machine", "google_compute_instance", "google_compute_instance_template")
def no_public_machine(r: Resource) -> str | None:
    """No machine of ours has a public address."""
    return "has a public address" if r.at("network_interface.access_config") else None


@policy("dns-not-open", "google_dns_managed_zone")
def dns_not_open(r: Resource) -> str | None:
    """A zone that the world asks is signed."""
    return None if r.values.get("visibility") == "private" else other_than(r, "dnssec_config.state", "on")


@policy("iap-not-everybody", "google_iap_*_iam_member", "google_iap_settings")
def iap_not_everybody(r: Resource) -> str | None:
    """IAP lets in groups and accounts, and only while it asks for a sign-in."""
    return "lets in everybody" if re.search(r"all(Authenticated)?Users", r.written("member")) else None
