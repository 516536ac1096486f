"""Decides what becomes of a comparison: pure, from what was observed of its trainings and its Job."""
