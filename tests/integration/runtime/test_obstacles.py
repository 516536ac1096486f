"""Each row of the page of what stands in the way: brought about on a real API server, and told as the page says."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.generate.obstacles import OBSTACLES, Obstacle
from hack.localcluster import Cluster
from nnunet_api.remedies.remedy import Group
from nnunet_api.remedies.table import REMEDIES, advice, phase_of
from tests.integration.conftest import Lab, make_namespace
from tests.integration.runtime import bring, bring_by_others  # noqa: F401  they fill the table
from tests.integration.runtime.stage import BRING, Stage
from tests.support.api import Api, Object
from tests.support.claims import make_bound_claims
from tests.support.launch import Nursery
from tests.support.node import FakeNode
from tests.support.process import OperatorProcess
from tests.support.trainer import Trainer
from tests.support.worker import ADDRESSES

HELD_APART = (
    "pod_security",
    "quota_on_limits",
    "limit_range",
    "denied",
    "verifier_by_tag",
    "changed",
    "slipped_in",
    "no_policy",
    "below_policy",
    "no_evidence_for_policy",
)
"""Rows of what concerns a whole namespace."""
TYPES = {
    Group.FAILED: "Failed",
    Group.HELD: "Suspended",
    Group.SUSPENDED: "Suspended",
    Group.STALLS: "Stalled",
    Group.SLOW: "DataStarved",
}


@pytest.fixture(scope="module")
def stage(api: Api, cluster: Cluster, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One operator and two namespaces for all rows: each training is another one."""
    namespaces = [make_namespace(api) for _ in range(2)]
    log: Path = tmp_path_factory.mktemp("obstacles") / "operator.log"
    operator = OperatorProcess(cluster.kubeconfig, log, ",".join(namespaces), nursery.launch)
    operator.start()
    trainer = Trainer(f"{ADDRESSES}.79")
    for namespace in namespaces:
        make_bound_claims(api, namespace)
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": ""}
    path = f"/api/v1/namespaces/{namespaces[0]}/persistentvolumeclaims"
    api.request("POST", path, {"metadata": {"name": "unbound"}, "spec": claim})
    try:
        with FakeNode(api, f"node-{uuid.uuid4().hex[:8]}", cpu="500", memory="500Gi") as node:
            lab, held = (Lab(api, namespace, operator) for namespace in namespaces)
            yield Stage(lab, held, node, trainer)
    finally:
        trainer.close()
        operator.close()
        for namespace in namespaces:
            api.delete("namespaces", "", namespace)


@pytest.mark.parametrize("row", OBSTACLES, ids=lambda row: row.name)
def test_what_stands_in_the_way_is_told(stage: Stage, row: Obstacle) -> None:
    """Phase, reason, words and remedy."""
    stage.name = f"t-{row.name.replace('_', '-')}"
    lab = stage.held if row.name in HELD_APART else stage.lab
    type_ = TYPES.get(REMEDIES[row.reason].group, "Progressing")
    with BRING[row.name](stage):

        def told() -> Object | None:
            status = lab.status(stage.name)
            found = lab.condition(type_, stage.name)
            as_said = (found.get("reason"), status.get("phase")) == (row.reason, phase_of(row.reason))
            return found if as_said and row.says in found["message"] else None

        condition = lab.wait(f"{row.reason} ... {row.says}", told, stage.name)
        todo = advice(row.reason, row.case, stage.name, lab.namespace)
        assert todo in condition["message"], condition["message"]
        assert lab.status(stage.name)["problem"].get("case", "") == row.case
