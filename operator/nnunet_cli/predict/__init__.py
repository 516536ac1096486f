"""`kubectl nnunet predict`: new images, segmented in the cluster by a model of a training."""
