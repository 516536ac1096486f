"""The rules of nnU-Net's raw dataset format, as pure functions that return all problems at once."""
