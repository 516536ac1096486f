"""The run folder: paths, journal, facts, and who may write."""
