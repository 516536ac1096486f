"""`kubectl nnunet audit`."""
