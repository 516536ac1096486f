"""Datasets in nnU-Net's raw format: checked on this machine, sent to a claim, listed there."""
