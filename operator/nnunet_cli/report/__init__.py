"""`kubectl nnunet report`."""
