"""`kubectl nnunet export`."""
