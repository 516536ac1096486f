"""`kubectl nnunet logs`."""
