"""`kubectl nnunet compare`."""
