"""Terraform that is not synthesized here: folders of files, and what cdktf wrote for others."""
