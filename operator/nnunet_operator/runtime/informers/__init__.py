"""What is known of the cluster's objects: list, watch, store, and whom a change concerns."""
