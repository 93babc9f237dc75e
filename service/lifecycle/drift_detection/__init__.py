"""Whether leads or scores have changed since training."""
