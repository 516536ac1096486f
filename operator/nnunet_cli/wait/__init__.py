"""`kubectl nnunet wait`."""
