"""From leads to a registered model."""
