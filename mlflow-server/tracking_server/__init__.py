"""MLflow as a server: PostgreSQL for runs and models, a bucket that clients reach themselves for artifacts."""
