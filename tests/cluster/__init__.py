"""A real single-node Kubernetes for the demo and the tests; see docs/development/local-cluster.md."""

from tests.cluster.cluster import Cluster
from tests.cluster.current import CurrentCluster, cluster_from_environment
from tests.cluster.errors import ClusterError

__all__ = ["Cluster", "ClusterError", "CurrentCluster", "cluster_from_environment"]
