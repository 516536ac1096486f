"""CLUSTER=current: the user's own cluster in place of the local one."""

import pytest

from hack.localcluster import Cluster, ClusterError, CurrentCluster, cluster_from_environment
from hack.localcluster.__main__ import main
from hack.localcluster.current import registry_reference


@pytest.mark.parametrize(("value", "kind"), [("", Cluster), ("local", Cluster), ("current", CurrentCluster)])
def test_the_environment_chooses(value: str, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """The local cluster is the default."""
    monkeypatch.setenv("CLUSTER", value)
    assert type(cluster_from_environment()) is kind


def test_another_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A typing error must not lead to a cluster that nobody asked for."""
    monkeypatch.setenv("CLUSTER", "curent")
    with pytest.raises(ClusterError, match="CLUSTER='curent': use `current`"):
        cluster_from_environment()


@pytest.mark.parametrize("command", [["up"], ["load", "localhost/x:1"]])
def test_a_registry_must_be_named(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without IMAGE_REGISTRY nothing is pushed or looked at; the message says what to set."""
    monkeypatch.setenv("CLUSTER", "current")
    monkeypatch.delenv("IMAGE_REGISTRY", raising=False)
    assert main(command) == 1
    assert "CLUSTER=current needs IMAGE_REGISTRY" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("localhost/nnunet-operator:1f2e", "registry.example.org/imaging/nnunet-operator:1f2e"),
        ("docker.io/library/x:1", "registry.example.org/imaging/x:1"),
        ("x:1", "registry.example.org/imaging/x:1"),
    ],
)
def test_names_in_the_registry(reference: str, target: str) -> None:
    """The registry's path takes the place of the local one; name and tag stay."""
    assert registry_reference(reference, "registry.example.org/imaging") == target


def test_components_of_the_users_cluster_are_not_ours_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault test against somebody's real cluster is refused."""
    monkeypatch.setenv("CLUSTER", "current")
    with pytest.raises(ClusterError, match="not ours to stop"):
        cluster_from_environment().stop_component("kube-apiserver")
