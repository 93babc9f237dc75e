"""The private network: who can reach what, and which way out there is.

Everything is denied but what a rule names, in both directions; GKE adds the rules its own nodes need to be reached.
https://cloud.google.com/kubernetes-engine/docs/concepts/firewall-rules
"""

from collections.abc import Sequence

from infra.bindings import (
    Address,
    DnsRecord,
    DnsZone,
    DnsZoneNetwork,
    DnsZoneVisibility,
    Firewall,
    FirewallAllow,
    FirewallDeny,
    FirewallLogs,
    GlobalAddress,
    Lifecycle,
    Nat,
    NatLogs,
    NatSubnet,
    Network,
    PeeringConnection,
    Router,
    Subnet,
    SubnetLogs,
    SubnetRange,
    TerraformStack,
)
from infra.environment import Environment

ANYWHERE = "0.0.0.0/0"
# Load balancers and their health checks: https://cloud.google.com/load-balancing/docs/health-checks#fw-rule
HEALTH_CHECKS = ("35.191.0.0/16", "130.211.0.0/22")
# private.googleapis.com, and the domains that it answers for and we use.
# https://cloud.google.com/vpc/docs/configure-private-google-access#domain-options
GOOGLE_APIS = "199.36.153.8/30"
GOOGLE_APIS_ADDRESSES = [f"199.36.153.{last}" for last in range(8, 12)]
GOOGLE_APIS_DOMAINS = {
    "googleapis.com": "private.googleapis.com",
    "gcr.io": "gcr.io",
    "gstatic.com": "gstatic.com",  # the keys of the identity-aware proxy
    "pkg.dev": "pkg.dev",
    "run.app": "run.app",  # from this address Cloud Run takes a call for an internal one
}
KEPT = Lifecycle(prevent_destroy=True)
PODS, SERVICES = "pods", "services"  # names of the cluster's secondary ranges


class NetworkStack(TerraformStack):
    """The VPC. The attributes are ids, and the tag of what may reach the database."""

    network: str
    nodes: str
    run: str
    spark: str | None  # where record_engine is "spark"
    database_client: str

    def __init__(self, scope: object, id: str, *, env: Environment, pod_port: int) -> None:
        """`pod_port` is where the pods that score listen: load balancers go to them directly."""
        super().__init__(scope, id)
        network = Network(
            self,
            "network",
            name=env.name("network"),
            auto_create_subnetworks=False,
            delete_default_routes_on_create=False,  # the way to Google's APIs, and to the NAT
            routing_mode="REGIONAL",
            lifecycle=KEPT,
        )
        self.network = str(network.id)
        self.nodes = self._subnet(env, "nodes", env.nodes_cidr, {PODS: env.pods_cidr, SERVICES: env.services_cidr})
        self.run = self._subnet(env, "run", env.run_cidr, {})
        self.database_client = env.name("database-client")
        self._way_out(env)
        self._peering(env)
        self._google_apis(env)

        self._deny(env, "INGRESS")
        self._deny(env, "EGRESS")
        # A network endpoint group of one's own gets no rule from GKE.
        # https://cloud.google.com/kubernetes-engine/docs/how-to/standalone-neg
        self._allow(env, "health-checks", "INGRESS", HEALTH_CHECKS, tcp=pod_port, destinations=[env.pods_cidr])
        # Between nodes and pods, and from them to the control plane, whose private address is among the nodes'.
        self._allow(env, "cluster", "EGRESS", [env.nodes_cidr, env.pods_cidr])
        self._allow(env, "google-apis", "EGRESS", [GOOGLE_APIS], tcp=443)
        self._allow(env, "database", "EGRESS", [env.peering_cidr], tcp=5432, tag=self.database_client)
        if env.internet_cidrs:
            self._allow(env, "internet", "EGRESS", env.internet_cidrs, tcp=443)
        self.spark = None
        if env.record_engine == "spark" and env.spark_cidr:
            self.spark = self._spark(env, env.spark_cidr)

    def _spark(self, env: Environment, cidr: str) -> str:
        """The subnet of Spark batches, whose machines reach each other on every port, and Google's APIs.

        https://cloud.google.com/dataproc-serverless/docs/concepts/network
        """
        self._allow(env, "spark", "INGRESS", [cidr], destinations=[cidr])
        self._allow(env, "spark", "EGRESS", [cidr])
        return self._subnet(env, "spark", cidr, {})

    def _subnet(self, env: Environment, thing: str, cidr: str, secondary: dict[str, str]) -> str:
        subnet = Subnet(
            self,
            thing,
            name=env.name(thing),
            network=self.network,
            region=env.region,
            ip_cidr_range=cidr,
            secondary_ip_range=[
                SubnetRange(range_name=name, ip_cidr_range=range_) for name, range_ in secondary.items()
            ],
            stack_type="IPV4_ONLY",
            private_ip_google_access=True,
            log_config=SubnetLogs(
                aggregation_interval="INTERVAL_10_MIN",
                flow_sampling=env.flow_log_sampling,
                metadata="INCLUDE_ALL_METADATA",
            ),
            lifecycle=KEPT,
        )
        return str(subnet.id)

    def _way_out(self, env: Environment) -> None:
        """NAT from one constant address, which another company's firewall can name."""
        address = Address(
            self,
            "nat_address",
            name=env.name("nat"),
            region=env.region,
            address_type="EXTERNAL",
            network_tier="PREMIUM",
            lifecycle=KEPT,
        )
        router = Router(self, "router", name=env.name("router"), network=self.network, region=env.region)
        Nat(
            self,
            "nat",
            name=env.name("nat"),
            router=router.name,
            region=env.region,
            nat_ip_allocate_option="MANUAL_ONLY",
            nat_ips=[address.self_link],
            source_subnetwork_ip_ranges_to_nat="LIST_OF_SUBNETWORKS",
            subnetwork=[
                NatSubnet(name=subnet, source_ip_ranges_to_nat=["ALL_IP_RANGES"]) for subnet in (self.nodes, self.run)
            ],
            log_config=NatLogs(enable=True, filter="ERRORS_ONLY"),
        )

    def _peering(self, env: Environment) -> None:
        """Private service access: Google's network in which the database's address lies."""
        address, _, length = env.peering_cidr.partition("/")
        peering = GlobalAddress(
            self,
            "peering_range",
            name=env.name("peering"),
            network=self.network,
            purpose="VPC_PEERING",
            address_type="INTERNAL",
            address=address,
            prefix_length=int(length),
            lifecycle=KEPT,
        )
        PeeringConnection(
            self,
            "peering",
            network=self.network,
            service="servicenetworking.googleapis.com",
            reserved_peering_ranges=[peering.name],
            lifecycle=KEPT,
        )

    def _google_apis(self, env: Environment) -> None:
        """Names of Google's APIs lead to the private address."""
        for domain, canonical in GOOGLE_APIS_DOMAINS.items():
            thing = domain.replace(".", "-")
            zone = DnsZone(
                self,
                thing,
                name=env.name(thing),
                dns_name=f"{domain}.",
                description=f"{domain} by way of private Google access",
                visibility="private",
                private_visibility_config=DnsZoneVisibility(networks=[DnsZoneNetwork(network_url=self.network)]),
                force_destroy=False,
                lifecycle=KEPT,
            )
            for id, name, type_, answers in (
                ("address", f"{canonical}.", "A", GOOGLE_APIS_ADDRESSES),
                ("any", f"*.{domain}.", "CNAME", [f"{canonical}."]),
            ):
                DnsRecord(
                    self, f"{thing}-{id}", managed_zone=zone.name, name=name, type=type_, ttl=300, rrdatas=answers
                )

    def _deny(self, env: Environment, direction: str) -> None:
        """What no rule allows. Google's own rule of this kind leaves egress open and logs nothing."""
        thing = f"deny-{direction.lower()}"
        Firewall(
            self,
            thing,
            name=env.name(thing),
            network=self.network,
            direction=direction,
            priority=65534,
            deny=[FirewallDeny(protocol="all")],
            log_config=FirewallLogs(metadata="INCLUDE_ALL_METADATA"),
            **_peers(direction, [ANYWHERE]),
        )

    def _allow(
        self,
        env: Environment,
        what: str,
        direction: str,
        peers: Sequence[str],
        *,
        tcp: int | None = None,
        destinations: Sequence[str] | None = None,
        tag: str | None = None,
    ) -> None:
        thing = f"allow-{direction.lower()}-{what}"
        Firewall(
            self,
            thing,
            name=env.name(thing),
            network=self.network,
            direction=direction,
            priority=1000,
            allow=[FirewallAllow(protocol="tcp", ports=[str(tcp)]) if tcp else FirewallAllow(protocol="all")],
            target_tags=[tag] if tag else None,
            **_peers(direction, peers) | ({"destination_ranges": list(destinations)} if destinations else {}),
        )


def _peers(direction: str, ranges: Sequence[str]) -> dict[str, list[str]]:
    return {"source_ranges" if direction == "INGRESS" else "destination_ranges": list(ranges)}
