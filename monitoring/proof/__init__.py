"""The proof that alerts fire when they must and stay silent when they must, by a real PromQL engine."""
