"""Long load on the real service with faults in it, every answer checked: `scripts/soak`, `scripts/fuzz`."""
