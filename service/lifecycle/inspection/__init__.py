"""What is said about a lead source before a model is trained on it for good."""
