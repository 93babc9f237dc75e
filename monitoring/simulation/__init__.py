"""The catalogue over thirty days that are told by a seed, evaluated by a real Prometheus."""
