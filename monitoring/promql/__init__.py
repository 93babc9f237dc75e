"""The one place that reads or changes a PromQL expression."""
