"""Builds and fetches what tests and demo run."""
