"""`kubectl nnunet list`."""
