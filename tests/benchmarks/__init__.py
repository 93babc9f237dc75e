"""How fast it is, beside others: what people type as `scripts/bench serve`, `start` and `batch`."""
