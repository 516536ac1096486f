"""The control planes of the integration tests."""

from collections.abc import Sequence

from hack.localcluster import Cluster
from tests.support.sizes import SOAK
from tests.support.worker import WORKER


def control_plane(name: str, api_server: Sequence[str] = ()) -> Cluster:
    """Return a control plane of this process, which is not up yet. `api_server`: more arguments of its API server.

    It is hurried: most of what tests wait for are Jobs, and most of what they compute is its work. In soak tests it is
    not. What a run that was killed has left of it is taken down: it would go on with its own arguments.
    """
    cluster = Cluster(f"{name}{WORKER}", control_plane_only=True, hurried=not SOAK, api_server=api_server)
    cluster.down()
    return cluster
