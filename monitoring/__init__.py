"""What we promise: SLOs and alerts as data, and the proof that they behave."""
