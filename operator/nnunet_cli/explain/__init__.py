"""`kubectl nnunet explain`."""
