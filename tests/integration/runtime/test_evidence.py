"""Evidence on a real API server: an arm that a policy lets train, the verdict it complies by, the ledger of looks."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from nnunet_api.comparison.contract import ArmFacts, CandidateFacts, ComparisonContract, ComparisonFacts
from nnunet_api.contract import TerminationReport
from nnunet_api.test_set import object_name
from tests.integration.conftest import Lab
from tests.support.api import Api, Object
from tests.support.builders import TEST_SET_HASH, comparison, training, words
from tests.support.kubelet import Autopilot

SHARED: dict[str, Any] = {"testSet": {}, "folds": [0], "trainer": {"seed": 1}}


@pytest.fixture
def clinical(api: Api, lab: Lab) -> Iterator[str]:
    """A policy that asks for ten epochs, or for a comparison."""
    name = f"p-{uuid.uuid4().hex[:8]}"
    rules = {"minEpochs": 10, "requireComparison": {}, "maxTestLooks": 20}
    spec = {"mode": "Enforce", "namespaces": [lab.namespace], "rules": rules}
    body = {"apiVersion": "nnunet.dev/v1alpha1", "kind": "NnunetTrainingPolicy", "metadata": {"name": name}}
    api.apply("nnunettrainingpolicies", {**body, "spec": spec})
    yield name
    api.delete("nnunettrainingpolicies", "", name)


def wait_looks(lab: Lab, total: int) -> list[str]:
    """Wait until the ledger has so many looks; return by whom they were."""

    def found() -> list[str] | None:
        body = lab.api.get("nnunettestsets", lab.namespace, object_name(TEST_SET_HASH)) or {}
        status: Object = body.get("status", {})
        return [f"{one['kind']} {one['name']}" for one in status["looks"]] if status.get("total") == total else None

    return lab.wait(f"{total} looks", found, "")


def end_comparison(lab: Lab, verdict: str) -> None:
    """Let the pod of the comparison come to a verdict."""

    def living() -> Object | None:
        found = lab.api.list("pods", lab.namespace, labelSelector="nnunet.dev/comparison=shorter")
        return found[0] if found else None

    pod = lab.wait("the pod of the comparison", living)
    env = pod["spec"]["containers"][0]["env"]
    contract = ComparisonContract.model_validate_json(
        next(one["value"] for one in env if one["name"] == "NNUNET_RUN_COMPARISON")
    )
    facts = ComparisonFacts(
        uid=contract.uid,
        registration=contract.registration,
        arms=[ArmFacts(name=name, mean=0.9, replicates=3) for name in ("standard", "fast")],
        candidates=[CandidateFacts(arm="fast", verdict=verdict, difference=-0.002, low=-0.006, high=0.002)],
        cases=40,
        seed="7",
    )
    lab.kubelet.end(pod, 0, words(TerminationReport(message="compared", comparison=facts)))


def test_a_short_schedule_complies_by_the_verdict_of_the_comparison_that_it_names(lab: Lab, clinical: str) -> None:
    api, namespace = lab.api, lab.namespace
    lab.apply(training(namespace, "plain", **SHARED, schedule={"epochs": 5}))
    lab.wait_reason("PolicyCompliant", "PolicyDenied", "plain")
    api.create("nnunetcomparisons", comparison(namespace, maxDiceLoss=0.5))
    lab.apply(training(namespace, "short", **SHARED, schedule={"epochs": 5}, comparison="shorter"))
    # A margin of one's own is told at once, before anything is trained.
    said = lab.wait_reason("PolicyCompliant", "ComparisonFailed", "short")["message"]
    assert "has spec.maxDiceLoss 0.5, must be at most 0.01" in said
    api.delete("nnunetcomparisons", namespace, "shorter")
    api.create("nnunetcomparisons", comparison(namespace))
    lab.wait_reason("PolicyCompliant", "ComparisonRequired", "short")
    lab.apply(training(namespace, "long", **SHARED))
    with Autopilot(api, namespace, lambda: 0.0):
        for name in ("long", "short"):
            lab.wait_reason("Complete", "TrainingComplete", name)
    assert set(wait_looks(lab, 2)) == {"Training long", "Training short"}
    assert lab.condition("PolicyCompliant", "short")["reason"] == "ComparisonRequired"

    end_comparison(lab, "NonInferior")
    said = lab.wait_reason("PolicyCompliant", "ComparisonAccepted", "short")["message"]
    assert said == (
        f"policy {clinical} accepts NnunetComparison shorter: NonInferior at a margin of 1 point against long"
    )
    # In which order is not said of those of one second.
    assert set(wait_looks(lab, 3)) == {"Training long", "Training short", "Comparison shorter"}
    status = api.get("nnunetcomparisons", namespace, "shorter")["status"]  # type: ignore[index]
    assert any("has been looked at 3 times in this namespace" in note for note in status["notes"])

    # What was decided and what was looked at outlives what it came from, and an operator.
    api.delete("nnunetcomparisons", namespace, "shorter")
    api.delete("nnunettrainings", namespace, "long")
    lab.operator.kill()
    lab.operator.start()
    lab.set("short", suspend=True)
    lab.wait("the operator to have looked at it again", lambda: lab.status("short").get("observedGeneration") == 2)
    assert lab.condition("PolicyCompliant", "short")["status"] == "True"
    (kept,) = lab.status("short")["policy"]["accepted"]
    assert (kept["comparison"], kept["verdict"], kept["baseline"]) == ("shorter", "NonInferior", ["long"])
    assert len(wait_looks(lab, 3)) == 3
