"""The cluster as the commands see it: reading it, and what was read."""
