"""`kubectl nnunet suspend` and `resume`."""
