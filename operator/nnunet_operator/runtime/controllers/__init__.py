"""One module for each kind that is reconciled, and what they share."""
