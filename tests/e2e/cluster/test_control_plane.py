"""A control plane without a node: its parts can be stopped, and several stand side by side, also beside a cluster."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.localcluster import Cluster, ClusterError
from hack.localcluster.kubectl import Kubectl
from hack.localcluster.state import State


@pytest.fixture(scope="module")
def control_plane() -> Iterator[Cluster]:
    """A control plane without a node, up."""
    with Cluster("clean-cp", control_plane_only=True) as made:
        yield made


def test_the_api_server_alone_can_be_stopped(control_plane: Cluster) -> None:
    """Objects are there again when it is back."""
    client = control_plane.client()
    client.run("create", "namespace", "kept")
    control_plane.stop_component("kube-apiserver")
    assert control_plane.stopped() == ["kube-apiserver"]
    assert not client.succeeds("get", "--raw=/readyz")
    control_plane.start_component("kube-apiserver")
    assert client.succeeds("get", "namespace", "kept")


def test_a_component_that_dies_is_shown_with_its_log(control_plane: Cluster) -> None:
    """The reason stands in the error: no search for log files."""
    state = State.load(control_plane.layout.root)
    assert state is not None
    control_plane.stop_component("kube-apiserver")
    with socket.create_server(("127.0.0.1", state.api_port)), pytest.raises(ClusterError) as caught:
        control_plane.start_component("kube-apiserver")
    assert "kube-apiserver ended unexpectedly" in str(caught.value)
    assert "address already in use" in str(caught.value)
    control_plane.start_component("kube-apiserver")


def test_an_unknown_component_is_named(control_plane: Cluster) -> None:
    """A typing error is answered with what there is."""
    with pytest.raises(ClusterError, match=r"no component 'apiserver'; there are etcd, kube-apiserver"):
        control_plane.stop_component("apiserver")


def test_control_planes_side_by_side(control_plane: Cluster) -> None:
    """Several run at once and know nothing of each other."""
    other = Cluster("clean-cp2", control_plane_only=True)
    try:
        other.up()
        other.client().run("create", "namespace", "only-here")
        assert not control_plane.client().succeeds("get", "namespace", "only-here")
    finally:
        other.down()
    assert control_plane.stopped() == []


def test_the_users_own_cluster(control_plane: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLUSTER=current works with the kubeconfig's context, keeps it pinned, and leaves the cluster alone."""
    monkeypatch.setenv("CLUSTER", "current")
    monkeypatch.setenv("IMAGE_REGISTRY", "127.0.0.1:1/none")
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    command = [sys.executable, "-m", "hack.localcluster"]
    subprocess.run([*command, "up"], check=True, timeout=60)
    shown = subprocess.run([*command, "kubeconfig"], check=True, timeout=60, capture_output=True, text=True)
    pinned = Kubectl(Path(shown.stdout.strip()))
    assert pinned.succeeds("get", "namespace", "default")
    subprocess.run([*command, "down"], check=True, timeout=60)
    assert control_plane.stopped() == []
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    failed = subprocess.run([*command, "up"], check=False, timeout=60, capture_output=True, text=True)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")
