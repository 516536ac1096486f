"""`kubectl nnunet lint`."""
