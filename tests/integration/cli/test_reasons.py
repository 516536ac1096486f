"""Explanations of what the real scheduler and operator say. A node is there; its kubelet is played."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.conftest import CLINICAL, Site
from tests.integration.conftest import Lab
from tests.support.api import Api, Object, wait_for
from tests.support.builders import training
from tests.support.command import Command
from tests.support.launch import Nursery
from tests.support.node import FakeNode
from tests.support.process import OperatorProcess

HOME, CLINIC = "reasons", "reasons-clinic"
CLAIMS = ("nnunet-raw", "nnunet-preprocessed", "nnunet-results")


@pytest.fixture(scope="module")
def lab(site: Site, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A namespace with an operator and bound claims, and a node without GPUs."""
    site.namespace(HOME)
    site.namespace(CLINIC)
    for name in CLAIMS:
        claim(site.api, name, volume=f"{HOME}-{name}")
    claim(site.api, "unbound", volume="")
    log = tmp_path_factory.mktemp("operator") / "log"
    operator = OperatorProcess(site.kubeconfig, log, f"{HOME},{CLINIC}", nursery.launch)
    operator.start()
    try:
        with FakeNode(site.api, "reasons-node"):
            yield Lab(site.api, HOME, operator)
    finally:
        operator.stop()


def claim(api: Api, name: str, volume: str) -> None:
    """Create a claim with a volume, or without one for a class that provides none."""
    amount, modes = {"storage": "1Gi"}, ["ReadWriteMany"]
    spec: Object = {"accessModes": modes, "resources": {"requests": amount}, "storageClassName": "none"}
    if volume:
        source = {"capacity": amount, "accessModes": modes, "hostPath": {"path": "/nowhere"}}
        body = {"metadata": {"name": volume}, "spec": {**source, "storageClassName": "none"}}
        api.request("POST", "/api/v1/persistentvolumes", body)
        spec["volumeName"] = volume
    path = f"/api/v1/namespaces/{HOME}/persistentvolumeclaims"
    api.request("POST", path, {"metadata": {"name": name}, "spec": spec})
    if volume:
        wait_for(f"claim {name}", lambda: api.request("GET", f"{path}/{name}")["status"].get("phase") == "Bound")


def planned(lab: Lab, name: str) -> None:
    lab.plan_and_train(name)


def nothing(lab: Lab, name: str) -> None:
    """It is held up by itself."""


@pytest.mark.parametrize(
    ("reason", "spec", "let", "matter", "seen"),
    [
        ("WaitingForGPU", {}, planned, "Insufficient nvidia.com/gpu", "Unschedulable"),
        (
            "WaitingForResources",
            {"resources": {"preprocessing": {"cpu": "64"}}},
            nothing,
            "Insufficient cpu",
            "Unschedulable",
        ),
        ("WaitingForQueue", {"queueName": "gpus"}, nothing, "LocalQueue gpus, and no Kueue is in", "-plan: suspended"),
        (
            "ClaimNotBound",
            {"storage": {"results": {"claimName": "absent"}}, "dataset": {"name": "Dataset004_Hippocampus"}},
            planned,
            "absent",
            "claim absent: does not exist",
        ),
        (
            "ClaimNotBound",
            {"storage": {"preprocessed": {"claimName": "unbound"}}},
            nothing,
            "unbound",
            "claim unbound: Pending, has no volume yet",
        ),
    ],
    ids=["gpu", "cpu", "queue", "claim-absent", "claim-pending"],
)
def test_what_it_waits_for(
    lab: Lab,
    nnunet: Command,
    request: pytest.FixtureRequest,
    reason: str,
    spec: Any,
    let: Callable[[Lab, str], None],
    matter: str,
    seen: str,
) -> None:
    name = request.node.callspec.id
    lab.apply(training(HOME, name, **spec))
    let(lab, name)
    lab.wait_reason("Progressing", reason, name)
    # What Kueue or the scheduler says comes a moment later.
    lab.wait("the words", lambda: matter in lab.condition("Progressing", name)["message"], name)
    found = nnunet("explain", name, "-n", HOME, "-o", "json").data
    assert found["reason"] == reason and matter in found["matter"], found
    assert any(seen in line for line in found["seen"]), found["seen"]
    lab.api.delete("nnunettrainings", HOME, name)


def test_a_clinical_namespace_without_a_policy(lab: Lab, nnunet: Command) -> None:
    lab.api.create("nnunettrainings", training(CLINIC))
    lab.api.merge("namespaces", "", CLINIC, {"metadata": {"labels": {CLINICAL: "true"}}})
    clinic = Lab(lab.api, CLINIC, lab.operator)
    clinic.wait_reason("Suspended", "PolicyMissing")
    found = nnunet("explain", "hippo", "-n", CLINIC, "-o", "json").data
    assert found["reason"] == "PolicyMissing" and f"namespace {CLINIC}" in found["toDo"], found


def test_a_namespace_that_is_being_deleted(lab: Lab, site: Site, nnunet: Command, tmp_path: Path) -> None:
    """Something keeps the training there, and the namespace with it."""
    ending = site.namespace("reasons-ending")
    body = training(ending)
    body["metadata"]["finalizers"] = ["example.com/kept"]
    lab.api.create("nnunettrainings", body)
    lab.api.delete("namespaces", "", ending)

    def deleting() -> bool:
        found = lab.api.get("nnunettrainings", ending, "hippo")
        return found is not None and "deletionTimestamp" in found["metadata"]

    wait_for("the training to be deleted with its namespace", deleting)
    found = nnunet("explain", "hippo", "-n", ending, "-o", "json").data
    assert found["reason"] == "Deleting" and "finalizers" in found["toDo"], found
    lab.api.merge("nnunettrainings", ending, "hippo", {"metadata": {"finalizers": None}})
