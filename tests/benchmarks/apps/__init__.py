"""What the service is compared with: small servers that run in environments of their own, and import nothing here."""
