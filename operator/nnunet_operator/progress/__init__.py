"""Reads the metrics of trainer pods."""
