"""Reading and writing a claim through a short-lived pod that mounts it."""
