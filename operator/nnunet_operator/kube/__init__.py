"""Kubernetes' side of a training, still pure: Jobs and Pods -> observations, children -> Jobs."""
