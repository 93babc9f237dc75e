"""The front door: one address, one certificate, and the identity-aware proxy before the pods that score.

The pods' network endpoint groups are made by the cluster and only referred to here: destroy this stack before the
serving stack, or the groups stay behind.
https://cloud.google.com/kubernetes-engine/docs/how-to/standalone-neg
"""

from typing import Any

from infra.bindings import (
    ArmorPolicy,
    Backend,
    BackendIap,
    BackendLogs,
    ConfigMap,
    ConfigMapMetadata,
    ForwardingRule,
    GlobalAddress,
    HealthCheck,
    HealthCheckHttp,
    HealthCheckLogs,
    HttpProxy,
    HttpsProxy,
    IapMember,
    Lifecycle,
    Postcondition,
    ServiceData,
    ServiceDataMetadata,
    TerraformOutput,
    TerraformStack,
    TlsPolicy,
    UrlHost,
    UrlMap,
    UrlMatcher,
    UrlPath,
    UrlRedirect,
    UrlTest,
)
from infra.components.certificate import add_certificate
from infra.components.cloud_armor import HEALTH_PATH, front_door, health_only
from infra.components.cluster_access import reach_cluster
from infra.environment import Environment

SCORE_PATH = "/v1/score"  # has a rule of its own, so that the load balancer counts its requests apart
NEG_STATUS = "cloud.google.com/neg-status"
# Less than the pods wait between leaving the groups and their end: preStop in service/deploy/deployment.yaml.
DRAINING_SECONDS = 20
ANSWER_SECONDS = 30


class EdgeStack(TerraformStack):
    """Load balancer, certificate, Cloud Armor, IAP. `health_path` alone is answered to anybody."""

    health_path: str

    def __init__(
        self,
        scope: object,
        id: str,
        *,
        env: Environment,
        namespace: str,
        service: str,
        endpoint_groups: str,
        smoke: str,
        probe: str | None,
    ) -> None:
        """`namespace` and `service` name the Kubernetes Service, `endpoint_groups` the groups of its pods, `smoke` is
        the e-mail address of the account that asks for a score after each deploy, `probe` that of the one that asks
        every few minutes."""
        super().__init__(scope, id)
        self.health_path = HEALTH_PATH
        reach_cluster(self, env)
        pods = self._pods(env, namespace, service, endpoint_groups)
        check = self._health_check(env)
        scoring = self._backend(env, "scoring", front_door(self, env), check, iap=True)
        health = self._backend(env, "health", health_only(self, env), check, iap=False)
        for backend in (scoring, health):
            backend.add_override("dynamic.backend", pods)
        self._callers(env, scoring, {"smoke": smoke, **({"probe": probe} if probe else {})})
        self._audience(env, scoring, namespace)
        self._door(env, scoring, health)

    def _pods(self, env: Environment, namespace: str, service: str, endpoint_groups: str) -> dict[str, Any]:
        """The dynamic block of a backend service: one backend for each zone's group of pods."""
        group = f"projects/{env.project}/zones/${{backend.value}}/networkEndpointGroups/{endpoint_groups}"
        content = {
            "group": group,
            "balancing_mode": "RATE",
            "max_rate_per_endpoint": env.pod_requests_per_second,
            "capacity_scaler": 1,
        }
        return {"for_each": self._zones(env, namespace, service), "content": content}

    def _zones(self, env: Environment, namespace: str, service: str) -> str:
        """The zones that have a group, as the cluster says them when a plan is made.

        GKE is asked for groups in all zones of the region (service/deploy/service.yaml). One too old for that makes a
        group when a zone gets its first node; the next plan, each night's too, then shows the backend that is missing.
        """
        least = min(2, env.scoring_replicas[0])
        found = ServiceData(
            self,
            "service",
            metadata=ServiceDataMetadata(name=service, namespace=namespace),
            lifecycle=Lifecycle(
                postcondition=[
                    Postcondition(
                        condition=f"${{length({_zones('self')}) >= {least}}}",
                        error_message=f"The pods of {namespace}/{service} are in fewer than {least} zones. Deploy the "
                        f"serving stack first, and wait until its Service is annotated with {NEG_STATUS}.",
                    )
                ]
            ),
        )
        return f"${{{_zones(found.fqn)}}}"

    def _health_check(self, env: Environment) -> HealthCheck:
        return HealthCheck(
            self,
            "health_check",
            name=env.name("scoring"),
            check_interval_sec=5,
            timeout_sec=3,
            healthy_threshold=2,
            unhealthy_threshold=2,
            http_health_check=HealthCheckHttp(port_specification="USE_SERVING_PORT", request_path=HEALTH_PATH),
            log_config=HealthCheckLogs(enable=True),
        )

    def _backend(self, env: Environment, thing: str, policy: ArmorPolicy, check: HealthCheck, *, iap: bool) -> Backend:
        return Backend(
            self,
            thing,
            name=env.name(thing),
            load_balancing_scheme="EXTERNAL_MANAGED",
            protocol="HTTP",
            locality_lb_policy="LEAST_REQUEST",
            session_affinity="NONE",
            timeout_sec=ANSWER_SECONDS,
            connection_draining_timeout_sec=DRAINING_SECONDS,
            enable_cdn=False,
            health_checks=[check.id],
            security_policy=policy.id,
            # The Google-managed OAuth client: the provider's own resources for one no longer function.
            iap=BackendIap(enabled=iap),
            log_config=BackendLogs(enable=True, sample_rate=1, optional_mode="EXCLUDE_ALL_OPTIONAL"),
            # Without a client of one's own it reads as a blank, which would differ in every plan.
            lifecycle=Lifecycle(ignore_changes=["iap[0].oauth2_client_id"]),
        )

    def _callers(self, env: Environment, scoring: Backend, own: dict[str, str]) -> None:
        """Grant access through the proxy to the callers and to accounts of our own."""
        callers = {f"caller_{number}": caller for number, caller in enumerate(env.callers)}
        for name, caller in (callers | {name: f"serviceAccount:{email}" for name, email in own.items()}).items():
            IapMember(
                self,
                name,
                web_backend_service=scoring.name,
                role="roles/iap.httpsResourceAccessor",
                member=caller,
            )

    def _audience(self, env: Environment, scoring: Backend, namespace: str) -> None:
        """What the proxy's assertions are made out to, for the pods to check; they mount it.

        https://cloud.google.com/iap/docs/signed-headers-howto#verifying_the_jwt_payload
        """
        backend = scoring.get_string_attribute("generated_id")
        ConfigMap(
            self,
            "audience",
            metadata=ConfigMapMetadata(name="scoring-iap", namespace=namespace),
            data={"audience": f"/projects/{env.project_number}/global/backendServices/{backend}"},
        )

    def _door(self, env: Environment, scoring: Backend, health: Backend) -> None:
        address = GlobalAddress(
            self,
            "address",
            name=env.name("edge"),
            address_type="EXTERNAL",
            ip_version="IPV4",
            lifecycle=Lifecycle(prevent_destroy=True),
        )
        TerraformOutput(
            self, "address_record", value=address.address, description=f"What {env.domain} must resolve to."
        )
        https = HttpsProxy(
            self,
            "https",
            name=env.name("edge"),
            url_map=self._paths(env, scoring, health).id,
            certificate_map=f"//certificatemanager.googleapis.com/{add_certificate(self, env)}",
            ssl_policy=TlsPolicy(self, "tls", name=env.name("edge"), profile="MODERN", min_tls_version="TLS_1_2").id,
            quic_override="NONE",
            tls_early_data="DISABLED",  # a replayed request would be scored twice
            http_keep_alive_timeout_sec=610,
        )
        redirect = UrlMap(
            self,
            "redirect",
            name=env.name("redirect"),
            default_url_redirect=UrlRedirect(
                https_redirect=True, redirect_response_code="PERMANENT_REDIRECT", strip_query=False
            ),
        )
        http = HttpProxy(self, "http", name=env.name("redirect"), url_map=redirect.id, http_keep_alive_timeout_sec=610)
        for thing, proxy, port in (("https", https, 443), ("http", http, 80)):
            ForwardingRule(
                self,
                f"{thing}_rule",
                name=env.name(thing),
                ip_address=address.id,
                ip_protocol="TCP",
                port_range=str(port),
                load_balancing_scheme="EXTERNAL_MANAGED",
                network_tier="PREMIUM",
                target=proxy.id,
            )

    def _paths(self, env: Environment, scoring: Backend, health: Backend) -> UrlMap:
        return UrlMap(
            self,
            "paths",
            name=env.name("edge"),
            default_service=scoring.id,
            host_rule=[UrlHost(hosts=[env.domain], path_matcher="scoring")],
            path_matcher=[
                UrlMatcher(
                    name="scoring",
                    default_service=scoring.id,
                    path_rule=[
                        UrlPath(paths=[HEALTH_PATH], service=health.id),
                        UrlPath(paths=[SCORE_PATH], service=scoring.id),
                    ],
                )
            ],
            # Google's API refuses a map that routes these otherwise.
            test=[
                UrlTest(host=env.domain, path=path, service=service.id)
                for path, service in (
                    (HEALTH_PATH, health),
                    (f"{HEALTH_PATH}/x", scoring),
                    (SCORE_PATH, scoring),
                    ("/metrics", scoring),
                )
            ],
        )


def _zones(service: str) -> str:
    status = f'jsondecode({service}.metadata[0].annotations["{NEG_STATUS}"])'
    return f"try(toset({status}.zones), toset([]))"
