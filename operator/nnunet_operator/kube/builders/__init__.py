"""Pure builders: a training in, Kubernetes manifests out. One file for each kind of Job."""
