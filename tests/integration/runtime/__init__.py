"""The operator against a real API server and the real Job controller; only the kubelet is played."""
