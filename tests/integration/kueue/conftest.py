"""A control plane of its own with a real Kueue: its webhooks stand before all Jobs of a cluster."""

from collections.abc import Callable, Iterator

import pytest

from hack.localcluster import Cluster
from tests.integration.conftest import Lab, install_crds, restart_controllers
from tests.support.api import Api
from tests.support.control_plane import control_plane
from tests.support.kueue import Kueue
from tests.support.process import OperatorProcess


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """The control plane, taken down at the end."""
    with control_plane("kueue") as made:
        yield made


@pytest.fixture(scope="package")
def api(cluster: Cluster) -> Api:
    """A client of the control plane, in which the CRDs are installed."""
    client = Api(cluster.kubeconfig)
    install_crds(client)
    return client


@pytest.fixture(scope="package")
def kueue(api: Api, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kueue]:
    """Kueue, with one flavour that fits all nodes."""
    running = Kueue(api, cluster.kubeconfig, tmp_path_factory.mktemp("kueue"))
    running.install()
    restart_controllers(cluster)  # a Workload goes when its Job is gone, which they would find out up to 30 s late
    running.start()
    running.flavor()
    yield running
    running.stop()


@pytest.fixture
def lab(api: Api, namespace: str, kueue: Kueue, start_operator: Callable[..., OperatorProcess]) -> Lab:
    """A namespace with its operator, beside Kueue."""
    return Lab(api, namespace, start_operator(namespace), kueue.tail)
