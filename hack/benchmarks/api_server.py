"""What the API server itself spends: its CPU time, and the admission policies with which it is measured."""

from typing import Any

import yaml

from hack.localcluster import Cluster, processes
from hack.prepare.helm import ROOT
from tests.support.api import Api, wait_for
from tests.support.builders import training

POLICIES = ("admission", "guards", "clinical")
"""Files under manifests/policies: what an installation comes with."""
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_PLACES = {
    "ValidatingAdmissionPolicy": f"{_ADMISSION}/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": f"{_ADMISSION}/validatingadmissionpolicybindings",
    "NnunetTrainingPolicy": "/apis/nnunet.dev/v1alpha1/nnunettrainingpolicies",
}


def pid_of_api_server(cluster: Cluster) -> int:
    """Return the process ID of the cluster's API server."""
    (process,) = processes.find(cluster.layout.root, "kube-apiserver")
    return process.pid


def install_policies(api: Api) -> None:
    """Install the admission policies and the policy that an installation comes with, and wait until they act."""
    for part in POLICIES:
        for body in yaml.safe_load_all((ROOT / "manifests" / "policies" / f"{part}.yaml").read_text()):
            _apply(api, body)
    namespace = "bench-clinical"
    api.create("namespaces", {"metadata": {"name": namespace, "labels": {"nnunet.dev/clinical": "true"}}})
    short = training(namespace)
    # The API server looks every 30 s whether there are new kinds; until then it refuses every training.
    wait_for("the policies to act", lambda: "must be at least" in api.refusal("nnunettrainings", short), 120)


def _apply(api: Api, body: dict[str, Any]) -> None:
    path = f"{_PLACES[body['kind']]}/{body['metadata']['name']}?fieldManager=bench&force=true"
    api.request("PATCH", path, body, "application/apply-patch+yaml")
