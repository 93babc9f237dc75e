"""What every job runs in, and the gauges it publishes."""
