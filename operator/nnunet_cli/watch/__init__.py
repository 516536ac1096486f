"""`kubectl nnunet watch`."""
