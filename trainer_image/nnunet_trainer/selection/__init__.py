"""The choice among configurations by cross-validation, and what was chosen on the test set."""
