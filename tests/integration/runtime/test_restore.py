"""etcd is set back to a backup while the operator runs: what is known is of a history that never was."""

import base64
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import urllib3

from hack.localcluster import Cluster, processes
from hack.localcluster.state import State
from tests.integration.conftest import Lab
from tests.support.api import Api
from tests.support.builders import training
from tests.support.process import OperatorProcess

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
MANY = 1500
"""Writes after the backup: more than the control plane makes by itself while it starts and the test goes on."""


def restore(cluster: Cluster, backup: Path) -> None:
    """Stop the control plane, set etcd's folder back, and start it again."""
    for name in reversed(COMPONENTS):
        cluster.stop_component(name, grace_seconds=0)
    folder = cluster.layout.root / "etcd"
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)
    for name in COMPONENTS:
        cluster.start_component(name)


def back_up(cluster: Cluster, target: Path) -> None:
    """Copy etcd's folder as it is at one moment, as a snapshot of its volume has it: it starts from that as after a
    power cut."""
    (etcd,) = processes.find(cluster.layout.root, "etcd")
    os.kill(etcd.pid, signal.SIGSTOP)
    try:
        shutil.copytree(cluster.layout.root / "etcd", target)
    finally:
        os.kill(etcd.pid, signal.SIGCONT)


def write_much(cluster: Cluster) -> None:
    """Make so many writes that versions are far ahead of those of the backup: etcd counts those of all keys."""
    state = State.load(cluster.layout.root)
    assert state is not None
    body = json.dumps({"key": base64.b64encode(b"/tests/much").decode(), "value": ""})
    with urllib3.HTTPConnectionPool("127.0.0.1", state.etcd_port) as etcd:
        for _ in range(MANY):
            assert etcd.request("POST", "/v3/kv/put", body=body, retries=False).status == 200


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
    back_up(cluster, backup)
    # What the backup does not know:
    write_much(cluster)
    lab.kubelet.end(lab.kubelet.pod("old", "plan"))
    lab.wait_reason("DatasetReady", "Preprocessed", "old")
    lab.apply(training(namespace, "lost"))
    lab.wait_reason("Progressing", "WaitingForResources", "lost")

    restore(cluster, backup)
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
