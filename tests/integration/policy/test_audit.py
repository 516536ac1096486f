"""What the audit policy of manifests/ keeps, in the log of a second API server on the same cluster that has it."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from hack.localcluster import Cluster
from hack.localcluster.build import ensure_binaries
from hack.localcluster.components import component
from hack.localcluster.console import Console
from hack.localcluster.state import State
from hack.prepare.helm import ROOT
from hack.processes import end
from tests.integration.policy.support import MERGE, Client, Gate, exception
from tests.support.api import Object, wait_for
from tests.support.builders import training

AUDIT_POLICY = ROOT / "manifests" / "policies" / "audit-policy.yaml"
PREFIX = "validation.policy.admission.k8s.io/validation_failure"


class Audited:
    """An API server that keeps an audit log."""

    def __init__(self, gate: Gate, log: Path) -> None:
        self.gate = gate
        self.client = gate.client
        self._log = log

    def entries(self, **wanted: str) -> list[Object]:
        """Return the entries on requests to these: resource, namespace, name, verb, subresource."""
        lines = self._log.read_text().splitlines(keepends=True) if self._log.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("\n")]  # the last one may be half written
        return [entry for entry in found if wanted.items() <= {**entry["objectRef"], "verb": entry["verb"]}.items()]

    def entry(self, **wanted: str) -> Object:
        """Wait for the one entry and return it."""
        (only,) = wait_for(f"an entry on {wanted}", lambda: self.entries(**wanted))
        return only


@pytest.fixture(scope="module")
def audited(gate_cluster: Cluster, installed: Gate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    folder = tmp_path_factory.mktemp("audit")
    state = State.load(gate_cluster.layout.root)
    assert state
    port = State.new(full=False, gpus=0).api_port
    server = component("kube-apiserver", gate_cluster.layout, state, ensure_binaries(Console()))
    arguments = [argument for argument in server.arguments if not argument.startswith("--secure-port=")]
    log = folder / "audit.log"
    arguments += [f"--secure-port={port}", f"--audit-policy-file={AUDIT_POLICY}", f"--audit-log-path={log}"]
    kubeconfig = folder / "kubeconfig"
    shutil.copy(gate_cluster.kubeconfig, kubeconfig)
    kubeconfig.write_text(kubeconfig.read_text().replace(f":{state.api_port}", f":{port}"))
    with (folder / "api-server.log").open("w") as output:
        process = subprocess.Popen(
            ["kube-apiserver", *arguments], executable=server.executable, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        client = Client(kubeconfig)
        wait_for("the second API server", lambda: process.poll() is not None or answers(client))
        assert process.poll() is None, (folder / "api-server.log").read_text()[-2000:]
        # A server that starts while its list of kinds is not complete refuses trainings until it makes the list anew.
        probe = {"metadata": {"name": "probe"}, "spec": {"dataset": {"name": "Dataset001_A"}}}
        probe |= {"apiVersion": "nnunet.dev/v1alpha1", "kind": "NnunetTraining"}
        path = client.path("nnunettrainings", "default", dryRun="All")
        ready = lambda: client.ask("POST", path, probe).status == 201  # noqa: E731
        wait_for("it to find policies", ready, about=lambda: client.ask("POST", path, probe).message)
        yield Audited(Gate(installed.site, kubeconfig), log)
    finally:
        end(process)


def answers(client: Client) -> bool:
    try:
        return client.ask("GET", "/readyz").ok
    except (OSError, urllib3.exceptions.HTTPError):
        return False


def create(audited: Audited, namespace: str, name: str, as_: str = "") -> int:
    path = audited.client.path("nnunettrainings", namespace)
    return audited.client.ask("POST", path, training(namespace, name), as_).status


def test_a_denied_training_is_kept_with_who_asked_and_what_it_broke(gate: Gate, audited: Audited) -> None:
    namespace = gate.namespace()
    gate.bind("erin", "edit", namespace)
    asked = {"verb": "create", "group": "nnunet.dev", "resource": "nnunettrainings", "namespace": namespace}
    audited.gate.wait_allowed("erin", asked)
    audited.gate.write("house", namespaces=[namespace], rules={"minEpochs": 1000})
    assert create(audited, namespace, "denied", "erin") == 403
    entry = audited.entry(resource="nnunettrainings", namespace=namespace, verb="create")
    assert (entry["responseStatus"]["code"], entry["impersonatedUser"]["username"]) == (403, "erin")
    assert entry["requestObject"]["spec"]["schedule"]["epochs"] == 10
    (failure,) = json.loads(entry["annotations"][PREFIX])
    assert (failure["policy"], failure["validationActions"]) == ("nnunet-policy-warn", ["Warn", "Audit"])
    assert failure["message"].startswith("policy house: spec.schedule.epochs is 10, must be at least 1000: ")


@pytest.mark.parametrize("mode", ["Audit", "Warn"])
def test_what_is_not_denied_is_recorded_once_and_so_is_an_exception(gate: Gate, audited: Audited, mode: str) -> None:
    namespace = gate.namespace()
    gate.put(
        "eased", namespaces=[namespace], rules={"minEpochs": 1000}, exceptions=[exception(namespace, minEpochs=10)]
    )
    audited.gate.write("recorded", mode=mode, namespaces=[namespace], rules={"requireSeed": True})
    assert create(audited, namespace, "hippo") == 201
    annotations = audited.entry(resource="nnunettrainings", namespace=namespace, verb="create")["annotations"]
    (failure,) = json.loads(annotations[PREFIX])
    judged = {"Audit": ("nnunet-policy-audit", ["Audit"]), "Warn": ("nnunet-policy-warn", ["Warn", "Audit"])}
    assert (failure["policy"], failure["validationActions"]) == judged[mode]
    granted = annotations["nnunet-policy-warn/exception"]
    assert granted.startswith(f"policy eased: exception for {namespace}/hippo until ")
    assert granted.endswith(", ticket QM-17, approved by dr.x@example.org")


def test_what_counts_is_kept_and_the_rest_is_not(gate: Gate, audited: Audited) -> None:
    namespace = gate.namespace()
    ask, path = audited.client.ask, audited.client.path
    audited.gate.settle()
    assert create(audited, namespace, "kept") == 201
    status = {"status": {"phase": "Completed"}}
    assert ask("PATCH", path("nnunettrainings", namespace, "kept") + "/status", status, "", MERGE).ok
    label = {"metadata": {"labels": {"nnunet.dev/site": "a"}}}
    assert ask("PATCH", f"/api/v1/namespaces/{namespace}", label, "", MERGE).ok
    spec = {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b", "env": [{"name": "X", "value": "y"}]}]}
    meta = {"name": "kept", "namespace": namespace}
    assert ask(
        "POST", path("jobs", namespace), {"metadata": meta, "spec": {"suspend": True, "template": {"spec": spec}}}
    ).ok
    wait_for("an account for pods", lambda: ask("POST", path("pods", namespace), {"metadata": meta, "spec": spec}).ok)
    ask("POST", path("pods", namespace, "kept") + "/exec?command=id&stdout=true")
    assert ask("POST", f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": meta}).ok
    assert ask("GET", path("nnunettrainings", namespace, "kept")).ok
    assert ask("DELETE", path("nnunettrainings", namespace, "kept")).ok

    assert audited.entry(resource="nnunettrainings", namespace=namespace, verb="create")["responseObject"]["spec"]
    assert audited.entry(resource="nnunettrainings", namespace=namespace, verb="delete")
    assert audited.entry(namespace=namespace, subresource="status")["requestObject"] == status
    labelled = audited.entry(resource="namespaces", name=namespace, verb="patch")["responseObject"]
    assert labelled["metadata"]["labels"]["nnunet.dev/site"] == "a"
    assert audited.entry(resource="jobs", namespace=namespace)["requestObject"]["spec"]["suspend"] is True
    # One entry for each stage of the connection.
    assert wait_for("entries on exec", lambda: audited.entries(namespace=namespace, subresource="exec"))
    pods = [
        entry
        for entry in audited.entries(resource="pods", namespace=namespace)
        if "subresource" not in entry["objectRef"]
    ]
    assert pods
    assert not any("requestObject" in entry for entry in pods), "environments of other people's pods"
    assert audited.entries(resource="configmaps", namespace=namespace) == []
    assert audited.entries(verb="get", resource="nnunettrainings") == []
