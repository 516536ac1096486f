"""A real single-node Kubernetes for the demo and the tests; see docs/development/local-cluster.md."""

from tests.cluster.cluster import Cluster
from tests.cluster.errors import ClusterError

__all__ = ["Cluster", "ClusterError"]
