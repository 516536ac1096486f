"""A real single-node Kubernetes for the demo and the tests; see docs/development/local-cluster.md."""

from hack.localcluster.cluster import Cluster
from hack.localcluster.current import CurrentCluster, cluster_from_environment
from hack.localcluster.errors import ClusterError

__all__ = ["Cluster", "ClusterError", "CurrentCluster", "cluster_from_environment"]
