"""The one error that the cluster's commands show without a traceback."""


class ClusterError(Exception):
    """Something the caller can act on; the message says what to do."""
