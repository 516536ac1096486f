"""etcd is set back to a backup while the operator runs: what is known is of a history that never was."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hack.localcluster import Cluster
from tests.integration.conftest import Lab
from tests.support.api import Api
from tests.support.builders import training
from tests.support.process import OperatorProcess

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
CLIENTS, MANY = 5, 1500
"""Writes after the backup: more than the control plane makes by itself while it starts and the test goes on."""


def offline(cluster: Cluster, change: Callable[[Path], object]) -> None:
    """Stop the control plane, change etcd's folder, and start it again."""
    for name in reversed(COMPONENTS):
        cluster.stop_component(name, grace_seconds=0)
    change(cluster.layout.root / "etcd")
    for name in COMPONENTS:
        cluster.start_component(name)


def write_much(api: Api, namespace: str) -> None:
    """Make so many writes that versions are far ahead of those of the backup."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"

    def write(client: int) -> None:
        api.request("POST", path, {"metadata": {"name": f"much-{client}"}})
        for number in range(MANY // CLIENTS):
            patch = {"data": {"n": str(number)}}
            api.request("PATCH", f"{path}/much-{client}", patch, "application/merge-patch+json")

    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(write, range(CLIENTS)))


def test_etcd_is_restored_from_a_backup(
    cluster: Cluster, api: Api, namespace: str, start_operator: Callable[..., OperatorProcess], tmp_path: Path
) -> None:
    """Within seconds, by the same process and without a word to it: long before the next full list is due."""
    lab = Lab(api, namespace, start_operator(namespace, resync_seconds=3600))
    pid = lab.operator.pid
    lab.apply(training(namespace, "old"))
    lab.wait_jobs("old-plan")
    lab.wait_reason("Progressing", "WaitingForResources", "old")
    backup = tmp_path / "backup"
    offline(cluster, lambda folder: shutil.copytree(folder, backup))
    lab.wait("readiness", lambda: lab.operator.status("readyz") == 200)
    # What the backup does not know:
    write_much(api, namespace)
    lab.kubelet.end(lab.kubelet.pod("old", "plan"))
    lab.wait_reason("DatasetReady", "Preprocessed", "old")
    lab.apply(training(namespace, "lost"))
    lab.wait_reason("Progressing", "WaitingForResources", "lost")

    def restore(folder: Path) -> None:
        shutil.rmtree(folder)
        shutil.copytree(backup, folder)

    offline(cluster, restore)
    metrics = lab.operator.metrics
    lab.wait("the cache to be read anew", lambda: metrics()["nnunet_operator_cache_rebuilds_total"] == 1)
    (said,) = [line for line in lab.operator.lines() if "storage was set back" in line["message"]]
    assert said["level"] == "error" and "after" in said["message"]
    waiting = 'nnunet_operator_trainings{phase="WaitingForResources"}'
    lab.wait("the lost training to be forgotten", lambda: metrics()[waiting] == 1)
    # A training of a name that is known from the lost history, and a new one:
    lab.apply(training(namespace, "lost"))
    lab.apply(training(namespace, "fresh"))
    lab.wait_jobs("fresh-plan", "lost-plan", "old-plan")
    lab.wait_reason("Progressing", "WaitingForResources", "lost")
    # Watches tell what happens again:
    lab.set("old", suspend=True)
    lab.wait_reason("Suspended", "SuspendedByUser", "old")
    assert lab.operator.running and lab.operator.pid == pid
    assert lab.operator.status("readyz") == lab.operator.status("livez") == 200
