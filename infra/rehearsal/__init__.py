"""A plan proven without a cloud: the real Terraform, providers that only know their schemas."""
