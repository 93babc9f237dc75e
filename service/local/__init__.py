"""The platform on one machine: scripts/up."""
