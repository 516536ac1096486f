"""`kubectl nnunet rights`."""
