"""`kubectl nnunet`: commands for those who write trainings and for those who have to answer for them."""
