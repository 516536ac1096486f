"""What is due to be reconciled, and the workers that take it."""
