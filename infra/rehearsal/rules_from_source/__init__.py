"""Reads the rules of the google provider from its Go source."""
