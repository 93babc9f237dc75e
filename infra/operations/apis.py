"""The APIs that are asked before Terraform turns on all others: by `scripts/bootstrap`, and by Terraform to do so."""

# An API that is off in a project answers 403.
BOOTSTRAP = (
    "cloudbilling.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "compute.googleapis.com",
    "storage.googleapis.com",
)
FIRST = (*BOOTSTRAP, "serviceusage.googleapis.com")
