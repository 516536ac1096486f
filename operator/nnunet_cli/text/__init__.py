"""Words, numbers and output."""
