"""SQL over predictions, outcomes and evaluations: what `scripts/query` is made of."""
