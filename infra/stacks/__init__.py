"""One file, one Terraform state, one lifecycle."""
