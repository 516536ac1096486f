"""The local cluster comes up in time, survives what happens to it, and goes without a trace."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.images.engine import Engine
from hack.localcluster import Cluster, ClusterError, processes
from hack.localcluster.build import binaries_folder
from hack.localcluster.console import Console
from hack.localcluster.kubectl import Kubectl
from hack.localcluster.node import PAUSE_IMAGE
from tests.e2e.cluster.machine import Listing, leftovers, listing
from tests.support import sizes

UP = [sys.executable, "-m", "hack.localcluster", "up", "--name=clean"]
POD = """
apiVersion: v1
kind: Pod
metadata: {name: probe}
spec:
  securityContext: {runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000}
  containers:
  - name: pause
    image: IMAGE
    imagePullPolicy: Never
    resources: {limits: {nvidia.com/gpu: 1}}
    ports: [{containerPort: 80, hostPort: 9980}]
    volumeMounts:
    - {name: data, mountPath: /data, subPath: part}
    - {name: small, mountPath: /small}
    - {name: scratch, mountPath: /tmp}
    - {name: shm, mountPath: /dev/shm}
  volumes:
  - {name: data, persistentVolumeClaim: {claimName: data}}
  - {name: small, persistentVolumeClaim: {claimName: small}}
  - {name: scratch, emptyDir: {}}
  - {name: shm, emptyDir: {medium: Memory}}
---
apiVersion: v1
kind: Service
metadata: {name: probe}
spec: {type: NodePort, selector: {app: probe}, ports: [{port: 80}]}
"""


@pytest.fixture
def before() -> Listing:
    """The machine before the test."""
    return listing()


@pytest.fixture
def cluster(before: Listing) -> Iterator[Cluster]:
    """A cluster with a node, not up yet; whatever the test does, it is taken down."""
    made = Cluster("clean")
    made.down()
    yield made
    made.down()


def _run_probe(client: Kubectl, image: str = PAUSE_IMAGE) -> None:
    client.run("apply", "--filename=-", stdin=POD.replace("IMAGE", image))
    client.run("wait", "pod/probe", "--for=condition=Ready", "--timeout=110s", "--request-timeout=120s")


@pytest.mark.timing
def test_up_is_quick_and_down_leaves_nothing(before: Listing, cluster: Cluster) -> None:
    """With a pod running that uses each kind of volume, a GPU and the network: after `down` all is as before."""
    began = time.monotonic()
    cluster.up()
    assert time.monotonic() - began < 60, "minutes would be felt"
    client = cluster.client()
    folder = cluster.make_volume("data")
    small = cluster.make_volume("small", size="8Mi", limited=True)
    _run_probe(client)
    assert folder.stat().st_uid == 1000
    assert (folder / "part").is_dir()
    with pytest.raises(OSError, match="No space left"):
        (small / "big").write_bytes(b"\0" * 9 * 2**20)
    assert client.get("node", "node0")["status"]["allocatable"]["nvidia.com/gpu"] == "2"
    during = leftovers(before, listing())
    assert set(during) >= {"processes", "mounts", "interfaces", "addresses", "packet filter", "cgroups", "folders"}

    cluster.down()
    assert leftovers(before, listing()) == {}
    assert not cluster.layout.root.exists()


@pytest.mark.soak
@pytest.mark.parametrize("started", sizes.UP_KILLS)
def test_down_after_up_was_killed(before: Listing, cluster: Cluster, started: int) -> None:
    """SIGKILL to `up` when it has started so many components leaves nothing that `down` does not find."""
    with subprocess.Popen(UP, start_new_session=True, stderr=subprocess.DEVNULL) as up:
        try:
            _wait_started(cluster, up, started)
        finally:
            os.killpg(up.pid, signal.SIGKILL)
    cluster.down()
    assert leftovers(before, listing()) == {}


def _wait_started(cluster: Cluster, up: subprocess.Popen[bytes], number: int) -> None:
    deadline = time.monotonic() + 120
    while len({process.component for process in processes.find(cluster.layout.root)}) < number:
        assert up.poll() is None and time.monotonic() < deadline, f"it never had {number} components"
        time.sleep(0.05)


def _main_processes(cluster: Cluster) -> dict[str, int]:
    """Return the first process of each component; kube-proxy and the kubelet start others for a moment."""
    found: dict[str, int] = {}
    for process in sorted(processes.find(cluster.layout.root), key=lambda process: process.pid):
        found.setdefault(process.component, process.pid)
    return found


def test_up_repairs_what_is_missing(cluster: Cluster) -> None:
    """A second `up` changes nothing; after a component died or was killed half-way it starts what is missing."""
    cluster.up()
    before = _main_processes(cluster)
    cluster.up()
    assert _main_processes(cluster) == before
    for process in processes.find(cluster.layout.root):
        if process.component in ("kubelet", "containerd", "kube-scheduler"):
            os.kill(process.pid, signal.SIGKILL)
    Console().say("killed kubelet, containerd and kube-scheduler")
    cluster.up()
    assert cluster.stopped() == []
    cluster.make_volume("data")
    cluster.make_volume("small", size="8Mi", limited=True)
    _run_probe(cluster.client())


def test_images_are_loaded_once(cluster: Cluster, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An image that was built on this machine runs on the node; loading it again is no work."""
    reference = "localhost/nnunet-cluster-test:1"
    cluster.up()
    _build(reference, tmp_path)
    assert cluster.load_image(reference) == reference
    assert "loaded" in capfd.readouterr().err
    cluster.load_image(reference)
    assert "loaded already" in capfd.readouterr().err
    cluster.make_volume("data")
    cluster.make_volume("small", size="8Mi", limited=True)
    _run_probe(cluster.client(), reference)
    with pytest.raises(ClusterError, match=r"no image localhost/none:1: build it first \(make images\)"):
        cluster.load_image("localhost/none:1")


def _build(reference: str, folder: Path) -> None:
    engine = Engine.find()
    shutil.copy(binaries_folder() / "pause", folder / "pause")
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n')
    engine.build(reference, folder / "Dockerfile", folder, {})


def test_one_cluster_with_a_node_at_a_time(cluster: Cluster) -> None:
    """A second one is refused with the name of the first; the first is not harmed, nor taken down with the second."""
    cluster.up()
    second = Cluster("clean-two")
    with pytest.raises(ClusterError, match=f"made by {cluster.layout.root}: there can be one"):
        second.up()
    second.down()
    assert cluster.stopped() == []
    cluster.client().run("get", "--raw=/readyz")
