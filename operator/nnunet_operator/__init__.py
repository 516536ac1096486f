"""Operator for nnU-Net training on Kubernetes."""
