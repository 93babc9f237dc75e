"""The cluster that serves: regional, private GKE Autopilot, and what may run on it.

What Autopilot decides by itself is not repeated here, for the provider refuses it: rehearsal/rules.toml.
"""

from infra.bindings import (
    BackupConfig,
    BackupKey,
    BackupPlan,
    BackupRetention,
    BackupSchedule,
    BinaryAuthorizationPolicy,
    BinaryAuthorizationRegistry,
    BinaryAuthorizationRule,
    Cluster,
    ClusterAddons,
    ClusterAnonymous,
    ClusterAuthorizedNetworks,
    ClusterBackupAgent,
    ClusterBinaryAuthorization,
    ClusterClientCertificate,
    ClusterCost,
    ClusterDnsEndpoint,
    ClusterEndpoints,
    ClusterIpEndpoints,
    ClusterKubelet,
    ClusterLoadBalancing,
    ClusterLogging,
    ClusterMaintenance,
    ClusterMasterAuth,
    ClusterMonitoring,
    ClusterNodes,
    ClusterNodesAuto,
    ClusterNodesDefaults,
    ClusterPosture,
    ClusterPrivate,
    ClusterPrometheus,
    ClusterRanges,
    ClusterRbac,
    ClusterRelease,
    ClusterSecrets,
    ClusterVerticalScaling,
    ClusterWindow,
    Lifecycle,
    TerraformStack,
)
from infra.environment import Environment
from infra.stacks.network import PODS, SERVICES

# Saturdays and Sundays, 01:00 to 07:00 UTC: GKE wants 48 hours in any 32 days, none of them shorter than 4.
# https://cloud.google.com/kubernetes-engine/docs/concepts/maintenance-windows-and-exclusions
WINDOW = ClusterWindow(
    start_time="2026-01-03T01:00:00Z", end_time="2026-01-03T07:00:00Z", recurrence="FREQ=WEEKLY;BYDAY=SA,SU"
)


class ClusterStack(TerraformStack):
    """The cluster; others find it by its constant name."""

    def __init__(
        self,
        scope: object,
        id: str,
        *,
        env: Environment,
        network: str,
        subnetwork: str,
        nodes: str,
        secrets_key: str,
        backup_key: str | None,
    ) -> None:
        """`nodes` is the e-mail address that nodes run as, the keys are ids of Cloud KMS keys."""
        super().__init__(scope, id)
        self._admission(env)
        cluster = Cluster(
            self,
            "cluster",
            name=env.name("cluster"),
            location=env.region,  # a region: control plane and nodes in three zones
            enable_autopilot=True,
            deletion_protection=True,
            network=network,
            subnetwork=subnetwork,
            networking_mode="VPC_NATIVE",
            ip_allocation_policy=ClusterRanges(
                stack_type="IPV4", cluster_secondary_range_name=PODS, services_secondary_range_name=SERVICES
            ),
            release_channel=ClusterRelease(channel=env.release_channel),
            maintenance_policy=ClusterMaintenance(recurring_window=WINDOW),
            # The control plane has one door, a name behind which IAM decides (container.clusters.connect); its
            # addresses are closed. https://cloud.google.com/kubernetes-engine/docs/concepts/network-isolation
            control_plane_endpoints_config=ClusterEndpoints(
                dns_endpoint_config=ClusterDnsEndpoint(allow_external_traffic=True),
                ip_endpoints_config=ClusterIpEndpoints(enabled=False),
            ),
            private_cluster_config=ClusterPrivate(enable_private_nodes=True, enable_private_endpoint=True),
            master_authorized_networks_config=ClusterAuthorizedNetworks(gcp_public_cidrs_access_enabled=False),
            master_auth=ClusterMasterAuth(
                client_certificate_config=ClusterClientCertificate(issue_client_certificate=False)
            ),
            # Later versions of GKE turn it on by themselves, and nothing turns it off again: unset or false, this
            # provider version would then replace the cluster. It changes only internal load balancers of Services of
            # type LoadBalancer, and there are none.
            enable_l4_ilb_subsetting=True,
            enable_legacy_abac=False,
            anonymous_authentication_config=ClusterAnonymous(mode="LIMITED"),  # health checks of the control plane
            rbac_binding_config=ClusterRbac(
                enable_insecure_binding_system_authenticated=False,
                enable_insecure_binding_system_unauthenticated=False,
            ),
            cluster_autoscaling=ClusterNodes(
                auto_provisioning_defaults=ClusterNodesDefaults(
                    service_account=nodes, oauth_scopes=["https://www.googleapis.com/auth/cloud-platform"]
                )
            ),
            node_pool_auto_config=ClusterNodesAuto(
                node_kubelet_config=ClusterKubelet(insecure_kubelet_readonly_port_enabled="FALSE")
            ),
            binary_authorization=ClusterBinaryAuthorization(evaluation_mode="PROJECT_SINGLETON_POLICY_ENFORCE"),
            database_encryption=ClusterSecrets(state="ENCRYPTED", key_name=secrets_key),
            security_posture_config=ClusterPosture(
                mode="BASIC",
                vulnerability_mode="VULNERABILITY_DISABLED",  # Artifact Registry scans what is pushed
            ),
            addons_config=ClusterAddons(
                gke_backup_agent_config=ClusterBackupAgent(enabled=True),
                http_load_balancing=ClusterLoadBalancing(disabled=False),  # it makes the network endpoint groups
            ),
            # HPA, POD and DEPLOYMENT are what the alerts on replicas and restarts read. The order is the API's: a list
            # in another order would differ in every plan.
            monitoring_config=ClusterMonitoring(
                enable_components=["SYSTEM_COMPONENTS", "HPA", "POD", "DEPLOYMENT"],
                managed_prometheus=ClusterPrometheus(enabled=True),
            ),
            logging_config=ClusterLogging(enable_components=["SYSTEM_COMPONENTS", "WORKLOADS"]),
            cost_management_config=ClusterCost(enabled=True),
            vertical_pod_autoscaling=ClusterVerticalScaling(enabled=True),
            lifecycle=Lifecycle(
                prevent_destroy=True,
                # Both would differ in every plan. GKE may call the state of encryption by a second name, which this
                # provider version does not accept; without IP endpoints it decides alone which of them is private.
                ignore_changes=["database_encryption[0].state", "private_cluster_config[0].enable_private_endpoint"],
            ),
        )
        self._backup(env, cluster.id, backup_key)

    def _admission(self, env: Environment) -> None:
        """Images of this environment's registry run, on the cluster and on Cloud Run; Google's own; no others.

        Patterns: https://cloud.google.com/binary-authorization/docs/policy-yaml-reference#admissionwhitelistpatterns
        """
        BinaryAuthorizationPolicy(
            self,
            "admission",
            description="Only images of this environment's registry.",
            global_policy_evaluation_mode="ENABLE",  # the system images, of which Google keeps the list
            admission_whitelist_patterns=[BinaryAuthorizationRegistry(name_pattern=f"{env.images}/**")],
            default_admission_rule=BinaryAuthorizationRule(
                evaluation_mode="ALWAYS_DENY", enforcement_mode="ENFORCED_BLOCK_AND_AUDIT_LOG"
            ),
        )

    def _backup(self, env: Environment, cluster: str, key: str | None) -> None:
        """The objects of the cluster with this id are backed up every night."""
        BackupPlan(
            self,
            "backup",
            name=env.name("cluster"),
            location=env.region,
            cluster=cluster,
            backup_config=BackupConfig(
                all_namespaces=True,
                include_secrets=True,
                include_volume_data=False,  # the pods keep nothing on volumes but a spool that is uploaded
                encryption_key=BackupKey(gcp_kms_encryption_key=key) if key else None,
            ),
            backup_schedule=BackupSchedule(cron_schedule="30 1 * * *", paused=False),
            retention_policy=BackupRetention(
                backup_delete_lock_days=0, backup_retain_days=env.backup_days, locked=False
            ),
            lifecycle=Lifecycle(prevent_destroy=True),
        )
