"""What final checkpoints prove."""
