"""GPUs by Dynamic Resource Allocation: the real controller makes claims, the real scheduler gives out devices."""

import uuid
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Lab
from tests.support.api import Api
from tests.support.builders import training
from tests.support.claims import make_bound_claims
from tests.support.devices import Devices
from tests.support.node import FakeNode


@pytest.fixture
def devices(api: Api) -> Iterator[Devices]:
    """A node with one GPU, which a driver offers."""
    with (
        FakeNode(api, f"node-{uuid.uuid4().hex[:8]}", cpu="64", memory="256Gi") as node,
        Devices(api, node, 1) as found,
    ):
        yield found


def node_of(lab: Lab, stage: str, fold: str = "") -> str:
    """Return the node that the scheduler has given a pod; empty as long as it has none."""
    return str(lab.kubelet.pod("hippo", stage, fold)["spec"].get("nodeName") or "")


def test_each_fold_gets_its_gpu_by_a_claim_of_its_own(lab: Lab, devices: Devices) -> None:
    """Two folds, one device: the second says for what it waits, and gets it when the first has ended."""
    make_bound_claims(lab.api, lab.namespace)
    devices.template(lab.namespace, "one-gpu")
    lab.apply(training(lab.namespace, resources={"gpuClaimTemplateName": "one-gpu"}))
    lab.wait("planning to have a node", lambda: node_of(lab, "plan"))
    planning = lab.kubelet.pod("hippo", "plan")
    assert "resourceClaims" not in planning["spec"] and devices.claims(lab.namespace) == []
    lab.kubelet.end(planning)
    placed = lab.wait("a fold to have its GPU", lambda: [fold for fold in "01" if node_of(lab, "fold", fold)])
    (first,) = placed
    (other,) = {"0", "1"} - {first}
    pod = lab.kubelet.pod("hippo", "fold", first)
    (container,) = pod["spec"]["containers"]
    assert container["resources"]["claims"] == [{"name": "gpu"}]
    assert "nvidia.com/gpu" not in container["resources"]["limits"]
    lab.kubelet.run(pod)
    condition = lab.wait_said("cannot allocate all claims")
    assert f"fold {other} waits for a GPU" in condition["message"], condition
    assert condition["reason"] == "WaitingForGPU" or condition["status"] == "True", condition
    lab.kubelet.end(pod)
    lab.wait("the other fold to have it", lambda: node_of(lab, "fold", other))
