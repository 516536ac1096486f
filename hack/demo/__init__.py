"""`make demo`: a real training on a local cluster, from nothing to a Dice score."""
