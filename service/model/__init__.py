"""The model bundle, the lead schema and the inference engine: what the service and the jobs share."""
