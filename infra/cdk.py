"""Which CDK the stacks are built with, and its packages: cdktf, or CDK Terrain (cdktn), which continues it."""

import os

CDK = os.environ.get("LEADSCORING_CDK", "cdktf")
PACKAGES = {
    "cdktf": {
        "google": "cdktf_cdktf_provider_google",
        "kubernetes": "cdktf_cdktf_provider_kubernetes",
        "pagerduty": "cdktf_cdktf_provider_pagerduty",
    },
    "cdktn": {
        "google": "cdktn_provider_google",
        "kubernetes": "cdktn_provider_kubernetes",
        "pagerduty": "cdktn_provider_pagerduty",
    },
}[CDK]
