"""Pure builders: a training in, Kubernetes manifests out."""
