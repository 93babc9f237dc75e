"""What the jobs that judge cost at many records: what people type as `scripts/bench scale`."""
